//! The static pages: the example application and the login fallback.
