//! Which handler answers which method and path.
//!
//! Actix tries the resources of an app one after the other; with two hundred paths that costs more
//! than the handlers do. Here the path is cut at its slashes and looked up in a tree. The tree is
//! also the list of what this server serves.

use std::{borrow::Cow, collections::HashMap, fmt, rc::Rc};

use actix_web::{HttpRequest, HttpResponse, dev::Payload, http::Method};
use futures_util::future::LocalBoxFuture;
use percent_encoding::percent_decode_str;
use smallvec::SmallVec;

use crate::ApiError;

/// No path of the Matrix API has more segments.
const MAX_SEGMENTS: usize = 16;

/// Who may call an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Only who has a valid access token: the rest is turned away before the body is read.
    Token,
    /// Anybody. The handler may still ask for a [`Requester`](crate::Requester).
    Anybody,
}

/// An endpoint: a handler and what is the same on all of its paths.
pub(crate) struct Endpoint {
    pub(crate) access: Access,
    pub(crate) handler: Box<dyn Fn(HttpRequest, Payload) -> LocalBoxFuture<'static, HttpResponse>>,
    pub(crate) duration: metrics::Histogram,
}

/// A method and a path that the server answers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteEntry {
    /// The path, with `{name}` for a variable segment.
    pub path: &'static str,
    /// The method.
    pub method: String,
    /// Who may call it.
    pub access: Access,
}

/// The endpoints of the server.
#[derive(Default)]
pub struct Routes {
    root: Node,
    entries: Vec<RouteEntry>,
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.entries).finish()
    }
}

#[derive(Default)]
struct Node {
    literals: HashMap<&'static str, Node>,
    variable: Option<Box<Node>>,
    endpoints: Vec<(Method, Rc<Endpoint>)>,
}

/// The variable segments of a request's path, percent-decoded, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathArgs(pub SmallVec<[String; 4]>);

/// What a look-up found.
pub(crate) enum Found {
    Endpoint(Rc<Endpoint>, PathArgs),
    Error(ApiError),
}

impl Routes {
    /// Every method and path that is served, sorted by path.
    #[must_use]
    pub fn entries(&self) -> Vec<RouteEntry> {
        let mut entries = self.entries.clone();
        entries.sort();
        entries
    }

    /// Adds an endpoint under one of its paths. A later one for the same method and path takes
    /// the place of the first.
    pub(crate) fn add(&mut self, method: &Method, path: &'static str, endpoint: Rc<Endpoint>) {
        self.entries.push(RouteEntry {
            path,
            method: method.to_string(),
            access: endpoint.access,
        });
        let mut node = &mut self.root;
        for segment in segments_of(path) {
            node = if segment.starts_with('{') {
                node.variable.get_or_insert_default()
            } else {
                node.literals.entry(segment).or_default()
            };
        }
        node.endpoints.retain(|(other, _)| other != method);
        node.endpoints.push((method.clone(), endpoint));
    }

    /// The endpoint for a method and a raw (percent-encoded) path.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Found {
        let mut segments = SmallVec::<[Cow<'_, str>; MAX_SEGMENTS]>::new();
        // Matters only where there is an endpoint: what is not there is not there in any encoding.
        let mut in_utf8 = true;
        for raw in segments_of(path) {
            if segments.len() == MAX_SEGMENTS {
                return Found::Error(ApiError::unrecognized());
            }
            let segment = percent_decode_str(raw).decode_utf8();
            in_utf8 &= segment.is_ok();
            segments.push(segment.unwrap_or(Cow::Borrowed("\u{FFFD}")));
        }
        // HEAD is GET without the body, which actix leaves out by itself.
        let method = if *method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let mut search = Search {
            method,
            variables: SmallVec::new(),
            allowed: Vec::new(),
        };
        if let Some(endpoint) = search.descend(&self.root, &segments) {
            if !in_utf8 {
                return Found::Error(ApiError::invalid_param("The path is not in UTF-8."));
            }
            let args = search.variables.into_iter().map(str::to_owned).collect();
            return Found::Endpoint(endpoint, PathArgs(args));
        }
        Found::Error(if search.allowed.is_empty() {
            ApiError::unrecognized()
        } else {
            ApiError::method_not_allowed(search.allow_header())
        })
    }
}

/// The segments between the slashes. One slash at the end makes no difference: `state/{type}/` is
/// `state/{type}`.
fn segments_of(path: &str) -> impl Iterator<Item = &str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.strip_suffix('/').unwrap_or(path).split('/')
}

struct Search<'a> {
    method: &'a Method,
    variables: SmallVec<[&'a str; 8]>,
    /// The methods of the places that fit but for the method.
    allowed: Vec<Method>,
}

impl<'a> Search<'a> {
    /// A fixed segment goes before a variable one; if nothing below it fits, the variable one is
    /// tried after all.
    fn descend(&mut self, node: &Node, segments: &'a [Cow<'_, str>]) -> Option<Rc<Endpoint>> {
        let Some((segment, rest)) = segments.split_first() else {
            return self.arrive(node);
        };
        if let Some(below) = node.literals.get(segment.as_ref())
            && let Some(endpoint) = self.descend(below, rest)
        {
            return Some(endpoint);
        }
        let below = node.variable.as_ref().filter(|_| !segment.is_empty())?;
        self.variables.push(segment);
        let found = self.descend(below, rest);
        if found.is_none() {
            self.variables.pop();
        }
        found
    }

    fn arrive(&mut self, node: &Node) -> Option<Rc<Endpoint>> {
        let found = node
            .endpoints
            .iter()
            .find(|(method, _)| method == self.method);
        if found.is_none() {
            self.allowed
                .extend(node.endpoints.iter().map(|(method, _)| method.clone()));
        }
        found.map(|(_, endpoint)| Rc::clone(endpoint))
    }

    fn allow_header(&self) -> String {
        let mut methods: Vec<&str> = self.allowed.iter().map(Method::as_str).collect();
        methods.push(Method::OPTIONS.as_str());
        methods.sort_unstable();
        methods.dedup();
        methods.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(list: &[(Method, &'static str)]) -> Routes {
        let mut routes = Routes::default();
        for (method, path) in list {
            let endpoint = Endpoint {
                access: Access::Anybody,
                handler: Box::new(|_, _| Box::pin(async { HttpResponse::Ok().finish() })),
                duration: metrics::Histogram::noop(),
            };
            routes.add(method, path, Rc::new(endpoint));
        }
        routes
    }

    fn args(routes: &Routes, method: &Method, path: &str) -> Result<Vec<String>, String> {
        match routes.find(method, path) {
            Found::Endpoint(_, args) => Ok(args.0.into_vec()),
            Found::Error(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn variable_segments_are_decoded_once() {
        let routes = routes(&[(
            Method::PUT,
            "/rooms/{room_id}/state/{event_type}/{state_key}",
        )]);
        let path = "/rooms/%21a%3Ab/state/m.x%252Fy/%2Fa+b%00";
        assert_eq!(
            args(&routes, &Method::PUT, path).unwrap(),
            ["!a:b", "m.x%2Fy", "/a+b\0"].map(str::to_owned)
        );
    }

    #[test]
    fn a_path_that_is_not_utf8_is_a_bad_parameter() {
        let routes = routes(&[(Method::GET, "/rooms/{room_id}")]);
        assert_eq!(
            args(&routes, &Method::GET, "/rooms/%ff").unwrap_err(),
            "400 M_INVALID_PARAM"
        );
    }

    #[test]
    fn a_slash_at_the_end_makes_no_difference() {
        let routes = routes(&[(Method::GET, "/pushrules/"), (Method::GET, "/state/{type}")]);
        for path in ["/pushrules", "/pushrules/", "/state/x", "/state/x/"] {
            assert!(args(&routes, &Method::GET, path).is_ok(), "{path}");
        }
        for path in ["/pushrules//", "//pushrules", "/state//", "/state/"] {
            assert_eq!(
                args(&routes, &Method::GET, path).unwrap_err(),
                "404 M_UNRECOGNIZED"
            );
        }
    }

    #[test]
    fn a_fixed_segment_goes_before_a_variable_one_unless_only_that_one_fits() {
        let routes = routes(&[
            (Method::GET, "/profile/{user_id}/displayname"),
            (Method::DELETE, "/profile/{user_id}/{field}"),
        ]);
        assert_eq!(
            args(&routes, &Method::GET, "/profile/u/displayname").unwrap(),
            ["u"]
        );
        assert_eq!(
            args(&routes, &Method::DELETE, "/profile/u/displayname").unwrap(),
            ["u", "displayname"]
        );
    }

    #[test]
    fn b64_a_wrong_method_is_told_from_a_wrong_path() {
        let routes = routes(&[(Method::GET, "/login"), (Method::POST, "/login")]);
        assert_eq!(
            args(&routes, &Method::PUT, "/login").unwrap_err(),
            "405 M_UNRECOGNIZED"
        );
        assert_eq!(
            args(&routes, &Method::PUT, "/logout").unwrap_err(),
            "404 M_UNRECOGNIZED"
        );
        assert!(args(&routes, &Method::HEAD, "/login").is_ok());
        let endless = "/x".repeat(1_000);
        assert_eq!(
            args(&routes, &Method::GET, &endless).unwrap_err(),
            "404 M_UNRECOGNIZED"
        );
    }
}
