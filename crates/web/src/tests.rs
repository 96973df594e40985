//! What a browser, and somebody who means harm, would look at.

use std::{collections::BTreeSet, fs, path::Path};

use actix_web::{
    App,
    dev::ServiceResponse,
    http::{Method, StatusCode, header},
    test as http,
};

use crate::{
    assets::{APP, Asset, LOGIN},
    configure_app, configure_login,
    serve::CONTENT_SECURITY_POLICY,
};

const LOGIN_PAGES: [&str; 3] = [
    "/_matrix/static/client/login/",
    "/_matrix/client/r0/login/fallback",
    "/_matrix/client/v3/login/fallback",
];

async fn call(method: Method, uri: &str, if_none_match: Option<&str>) -> ServiceResponse {
    let app = http::init_service(
        App::new()
            .configure(configure_app)
            .configure(configure_login),
    )
    .await;
    let mut request = http::TestRequest::with_uri(uri).method(method);
    if let Some(tag) = if_none_match {
        request = request.insert_header((header::IF_NONE_MATCH, tag));
    }
    http::call_service(&app, request.to_request()).await
}

async fn get(uri: &str) -> ServiceResponse {
    call(Method::GET, uri, None).await
}

fn header_of<'a>(response: &'a ServiceResponse, name: &str) -> &'a str {
    response
        .headers()
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn everything() -> impl Iterator<Item = &'static Asset> {
    APP.iter().chain(LOGIN)
}

fn is(asset: &Asset, extension: &str) -> bool {
    Path::new(asset.file)
        .extension()
        .is_some_and(|found| found == extension)
}

fn text(asset: &Asset) -> &str {
    std::str::from_utf8(asset.body).unwrap_or_default()
}

/// The values of every `name="…"` in a page.
fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!(" {name}=\"");
    html.split(start.as_str())
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect()
}

#[actix_web::test]
async fn every_file_is_served_with_its_type_and_the_guarding_headers() {
    for asset in everything() {
        for path in asset.paths {
            let response = get(path).await;
            assert_eq!(response.status(), StatusCode::OK, "{path}");
            let expected = match asset.file.rsplit('.').next() {
                Some("html") => "text/html; charset=utf-8",
                Some("css") => "text/css; charset=utf-8",
                Some("js") => "text/javascript; charset=utf-8",
                Some("svg") => "image/svg+xml",
                other => panic!("{}: no type for {other:?}", asset.file),
            };
            assert_eq!(header_of(&response, "content-type"), expected, "{path}");
            assert_eq!(
                header_of(&response, "content-security-policy"),
                CONTENT_SECURITY_POLICY
            );
            assert_eq!(header_of(&response, "x-content-type-options"), "nosniff");
            assert_eq!(header_of(&response, "referrer-policy"), "no-referrer");
            assert_eq!(header_of(&response, "x-frame-options"), "DENY");
            assert_eq!(header_of(&response, "cache-control"), "no-cache");
            assert_eq!(http::read_body(response).await, asset.body, "{path}");
        }
    }
}

#[test]
fn the_policy_allows_only_this_server_and_no_inline_code() {
    for wanted in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(
            CONTENT_SECURITY_POLICY
                .split("; ")
                .any(|part| part == wanted),
            "{wanted}"
        );
    }
    assert!(!CONTENT_SECURITY_POLICY.contains("unsafe"));
}

#[actix_web::test]
async fn an_unchanged_file_is_not_sent_again() {
    let first = get("/app/main.js").await;
    let tag = header_of(&first, "etag").to_owned();
    assert!(tag.starts_with('"') && tag.len() > 16, "{tag}");
    for known in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"other\", {tag}"),
        "*".to_owned(),
    ] {
        let again = call(Method::GET, "/app/main.js", Some(&known)).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!(header_of(&again, "etag"), tag);
        assert_eq!(
            header_of(&again, "content-security-policy"),
            CONTENT_SECURITY_POLICY
        );
        assert!(http::read_body(again).await.is_empty());
    }
    for unknown in ["\"other\"", "nonsense", ""] {
        let again = call(Method::GET, "/app/main.js", Some(unknown)).await;
        assert_eq!(again.status(), StatusCode::OK, "{unknown}");
    }
    assert_ne!(tag, header_of(&get("/app/api.js").await, "etag"));
}

#[actix_web::test]
async fn other_methods_are_refused_and_other_paths_are_left_alone() {
    for path in LOGIN_PAGES.into_iter().chain(["/", "/app/main.js"]) {
        assert_eq!(
            call(Method::HEAD, path, None).await.status(),
            StatusCode::OK,
            "{path}"
        );
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            let response = call(method, path, None).await;
            assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
            assert_eq!(header_of(&response, "allow"), "GET, HEAD");
            assert_eq!(header_of(&response, "content-type"), "application/json");
            assert_eq!(
                header_of(&response, "content-security-policy"),
                CONTENT_SECURITY_POLICY
            );
            let body = http::read_body(response).await;
            assert!(body.starts_with(br#"{"errcode":"M_UNRECOGNIZED""#));
        }
    }
    for path in [
        "/nothing",
        "/app/",
        "/app/nothing.js",
        "/app/../Cargo.toml",
        "/app/index.html",
    ] {
        assert_eq!(get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    for path in [
        "/_matrix/client/v3/login",
        "/_matrix/static/",
        "/app/%2e%2e/lib.rs",
    ] {
        assert_eq!(get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[actix_web::test]
async fn either_page_works_without_the_other() {
    let login_only = http::init_service(App::new().configure(configure_login)).await;
    for (path, expected) in [
        ("/", StatusCode::NOT_FOUND),
        ("/app/main.js", StatusCode::NOT_FOUND),
        ("/_matrix/static/client/login/", StatusCode::OK),
    ] {
        let request = http::TestRequest::with_uri(path).to_request();
        assert_eq!(
            http::call_service(&login_only, request).await.status(),
            expected,
            "{path}"
        );
    }
}

/// A66: a page that repeats what the address says would run it.
#[actix_web::test]
async fn a66_markup_in_the_address_never_comes_back() {
    let probe = "%3Cscript%3Ealert(1)%3C/script%3E\"'%3E%3Cimg%20src=x%20onerror=alert(1)%3E";
    for path in LOGIN_PAGES.into_iter().chain(["/"]) {
        let plain = http::read_body(get(path).await).await;
        for name in [
            "device_id",
            "initial_device_display_name",
            "session",
            "profile",
            "x<script>",
        ] {
            let uri = format!(
                "{path}?{}={probe}",
                name.replace('<', "%3C").replace('>', "%3E")
            );
            let uri = uri.replace('"', "%22");
            let response = get(&uri).await;
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(
                header_of(&response, "content-security-policy"),
                CONTENT_SECURITY_POLICY
            );
            for (header, value) in response.headers() {
                assert!(
                    !value.as_bytes().windows(5).any(|bytes| bytes == b"alert"),
                    "{header}"
                );
            }
            assert_eq!(http::read_body(response).await, plain, "{uri}");
        }
    }
}

#[test]
fn the_list_of_assets_is_what_the_folder_holds() {
    fn walk(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).expect("the folder of assets") {
            let entry = entry.expect("an entry");
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                walk(&entry.path(), &format!("{name}/"), found);
            } else {
                found.insert(name);
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("assets"),
        "",
        &mut found,
    );
    let listed: BTreeSet<String> = everything().map(|asset| asset.file.to_owned()).collect();
    assert_eq!(listed, found);
}

#[actix_web::test]
async fn everything_a_page_or_module_asks_for_is_there() {
    let mut asked = 0;
    for asset in everything() {
        let mut wanted: Vec<String> = Vec::new();
        if is(asset, "html") {
            let links = attributes(text(asset), "src")
                .into_iter()
                .chain(attributes(text(asset), "href"));
            wanted.extend(
                links
                    .filter(|link| link.starts_with('/'))
                    .map(str::to_owned),
            );
        } else if is(asset, "js") {
            let path = asset.paths.first().copied().unwrap_or_default();
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let imports = text(asset).split(" from '").skip(1);
            wanted.extend(
                imports
                    .filter_map(|rest| rest.split('\'').next())
                    .map(|module| match module.strip_prefix("../") {
                        Some(above) => format!(
                            "{}/{above}",
                            folder.rsplit_once('/').map_or("", |(up, _)| up)
                        ),
                        None => format!("{folder}/{}", module.trim_start_matches("./")),
                    }),
            );
        }
        for link in wanted {
            asked += 1;
            assert_eq!(
                get(&link).await.status(),
                StatusCode::OK,
                "{} wants {link}",
                asset.file
            );
        }
    }
    assert!(
        asked > 40,
        "only {asked} links were found: is this test still looking?"
    );
}

#[test]
fn no_asset_names_another_server_or_has_inline_code() {
    for asset in everything() {
        // The one address that is not fetched: the name of the SVG namespace.
        let body = text(asset).replace("http://www.w3.org/2000/svg", "");
        assert!(!body.is_empty(), "{} is not text", asset.file);
        for scheme in ["http://", "https://", "url(", "@import", "wss:", "//cdn"] {
            assert!(!body.contains(scheme), "{} contains {scheme}", asset.file);
        }
        if is(asset, "html") || is(asset, "svg") {
            assert!(!body.contains("<style"), "{}", asset.file);
            assert!(!body.contains(" style="), "{}", asset.file);
            let handlers = body
                .split(" on")
                .skip(1)
                .filter_map(|rest| rest.split_once('='));
            let inline =
                |name: &str| !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphabetic());
            assert_eq!(
                handlers.filter(|(name, _)| inline(name)).count(),
                0,
                "{}",
                asset.file
            );
            for script in body.split("<script").skip(1) {
                assert!(
                    script.contains("src=") && script.contains("></script>"),
                    "{}",
                    asset.file
                );
            }
        }
    }
}

#[test]
fn no_script_turns_text_into_markup_or_code() {
    for asset in everything().filter(|asset| is(asset, "js")) {
        for sink in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "srcdoc",
            "DOMParser",
        ] {
            assert!(!text(asset).contains(sink), "{} uses {sink}", asset.file);
        }
    }
}

#[actix_web::test]
async fn head_answers_with_the_headers_of_get() {
    let response = call(Method::HEAD, "/", None).await;
    assert_eq!(
        header_of(&response, "content-type"),
        "text/html; charset=utf-8"
    );
    assert!(header_of(&response, "etag").len() > 16);
}
