//! Which requests the flow tests make, read from their sources.
//!
//! It understands how requests are written here: a path is a string, `format!`, a variable, or
//! what a helper makes of its arguments. Any other expression is `*`, which is no path of the
//! specification: so a request may be overlooked, and none is made up.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Helpers that call helpers, at most.
const DEPTH: usize = 5;

/// Method and path of the requests that a test makes, with how far they are from it: 0 if one
/// stands in the test, 1 in a helper, and so on; those in the kit are the farthest.
pub(super) type Requests = BTreeMap<(&'static str, String), usize>;

/// What the parameters of a function stand for.
type Scope = BTreeMap<String, String>;

#[derive(Debug)]
struct Function {
    module: String,
    name: String,
    parameters: Vec<String>,
    text: String,
    is_test: bool,
    is_kit: bool,
}

/// The functions of the flow tests and of the kit.
#[derive(Debug, Default)]
pub(super) struct Source(Vec<Function>);

impl Source {
    /// Adds the functions of all files below, but for those that try every endpoint.
    pub(super) fn read(&mut self, directory: &Path, module: &str) {
        let entries = fs::read_dir(directory).expect("a directory of tests");
        let mut paths: Vec<_> = entries.map(|it| it.expect("an entry").path()).collect();
        paths.sort();
        for path in paths {
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            let name = match stem.expect("a name in UTF-8") {
                "endpoints" | "coverage" => continue,
                "mod" => module.to_owned(),
                stem if module.is_empty() => stem.to_owned(),
                stem => format!("{module}::{stem}"),
            };
            if path.is_dir() {
                self.read(&path, &name);
            } else {
                self.add(&name, &fs::read_to_string(&path).expect("a source"));
            }
        }
    }

    /// Adds the functions of a module, formatted by rustfmt.
    pub(super) fn add(&mut self, module: &str, text: &str) {
        let mut is_test = false;
        let mut rest = text;
        while let Some((line, after)) = rest.split_once('\n') {
            let code = line.trim_start();
            let head = code.split_once("fn ").filter(|(before, _)| {
                let mut words = before.split_whitespace();
                words.all(|word| word.starts_with("pub") || word == "async")
            });
            if let Some((before, _)) = head {
                let indent = &line[..line.len() - code.len()];
                let end = rest.find(&format!("\n{indent}}}\n"));
                let text = &rest[line.len() - code.len() + before.len()..end.unwrap_or(rest.len())];
                let (name, parameters) = text["fn ".len()..].split_once('(').unwrap_or_default();
                let parameters = arguments(parameters).into_iter();
                self.0.push(Function {
                    module: module.to_owned(),
                    name: name.split('<').next().unwrap_or_default().to_owned(),
                    parameters: parameters
                        .filter_map(|it| Some(it.split_once(':')?.0.to_owned()))
                        .collect(),
                    text: text.to_owned(),
                    is_test,
                    is_kit: module.starts_with("kit"),
                });
            }
            is_test = code == "#[test]"
                || code.starts_with("#[tokio::test")
                || (is_test && code.starts_with("#["));
            rest = after;
        }
    }

    /// Every flow test, as `cargo test` names it, and its requests.
    pub(super) fn tests(&self) -> Vec<(String, Requests)> {
        let tests = self.0.iter().filter(|it| it.is_test && !it.is_kit);
        let traced = tests.map(|test| {
            let mut found = Requests::new();
            self.trace(test, &Scope::new(), 0, &mut found);
            (format!("{}::{}", test.module, test.name), found)
        });
        traced.collect()
    }

    /// The function that a call means: one of the same module or above, or the only one there is.
    fn helper(
        &self,
        from: &Function,
        name: &str,
        is_method: bool,
        given: usize,
    ) -> Option<&Function> {
        let mut all = self
            .0
            .iter()
            .filter(|it| it.name == name && it.is_kit == is_method && it.parameters.len() == given);
        let near = all.clone().filter(|it| from.module.starts_with(&it.module));
        let nearest = near.max_by_key(|it| it.module.len());
        nearest.or_else(|| all.next().filter(|_| all.next().is_none()))
    }

    /// Collects the requests of a function and of those that it calls.
    fn trace(&self, function: &Function, scope: &Scope, depth: usize, found: &mut Requests) {
        let text = &function.text;
        for (at, _) in text.match_indices('(').skip(1) {
            let before = text[..at].trim_end_matches(|it: char| it.is_alphanumeric() || it == '_');
            let (name, is_method) = (&text[before.len()..at], before.ends_with('.'));
            if name.is_empty() {
                continue;
            }
            let given = arguments(&text[at + 1..]);
            let value = |text: &str| self.value(function, text, at, scope, DEPTH);
            let (method, path) = match (name, &given[..]) {
                ("get", [path, ..]) => ("GET", path),
                ("put", [path, ..]) => ("PUT", path),
                ("post", [path, ..]) => ("POST", path),
                ("delete", [path, ..]) => ("DELETE", path),
                ("raw" | "attempt", [method, path, ..]) => {
                    let known = ["GET", "PUT", "POST", "DELETE"].into_iter();
                    let mut known = known.filter(|it| method.ends_with(&format!("Method::{it}")));
                    (known.next().unwrap_or("*"), path)
                }
                _ if depth == DEPTH => continue,
                _ => {
                    if let Some(helper) = self.helper(function, name, is_method, given.len()) {
                        let names = helper.parameters.iter().cloned();
                        let scope = names.zip(given.iter().map(|it| value(it))).collect();
                        self.trace(helper, &scope, depth + 1, found);
                    }
                    continue;
                }
            };
            let far = if function.is_kit { DEPTH } else { depth };
            let nearest = found.entry((method, value(path))).or_insert(far);
            *nearest = far.min(*nearest);
        }
    }

    /// What an expression at this place of a function is as a path, with `*` for what varies.
    fn value(&self, of: &Function, text: &str, at: usize, scope: &Scope, depth: usize) -> String {
        let unknown = || "*".to_owned();
        let text = text.trim().trim_start_matches('&');
        let Some(depth) = depth.checked_sub(1) else {
            return unknown();
        };
        if let Some(literal) = text.strip_prefix('"') {
            return literal.split('"').next().unwrap_or_default().to_owned();
        }
        let Some((name, inside)) = text.split_once('(') else {
            let declared = format!("let {text} = ");
            let Some(start) = of.text[..at].rfind(&declared) else {
                return scope.get(text).cloned().unwrap_or_else(unknown);
            };
            return self.value(
                of,
                &of.text[start + declared.len()..at],
                start,
                scope,
                depth,
            );
        };
        let mut given = arguments(inside).into_iter();
        if name == "format!" {
            let template = given.next().unwrap_or_default().trim_matches('"');
            let mut pieces = template.split('{');
            let mut path = pieces.next().unwrap_or_default().to_owned();
            for piece in pieces {
                let (variable, rest) = piece.split_once('}').unwrap_or_default();
                let expression = match variable {
                    "" => given.next().unwrap_or_default(),
                    name => name,
                };
                path += &self.value(of, expression, at, scope, depth);
                path += rest;
            }
            return path;
        }
        let Some(helper) = self.helper(of, name, false, given.len()) else {
            return unknown();
        };
        let values = given.map(|it| self.value(of, it, at, scope, depth));
        let inner = helper.parameters.iter().cloned().zip(values).collect();
        // What a helper gives is its last expression.
        helper.text.rfind("format!(").map_or_else(unknown, |start| {
            self.value(helper, &helper.text[start..], start, &inner, depth)
        })
    }
}

/// The arguments of a call, from behind its parenthesis to the one that closes it.
fn arguments(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0_usize, 0, Vec::new());
    let (mut quoted, mut escaped) = (false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            '"' if !escaped => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth > 0 => depth -= 1,
            ',' | ')' | ']' | '}' if depth == 0 => {
                found.push(text[start..at].trim());
                start = at + 1;
                if letter != ',' {
                    break;
                }
            }
            _ => {}
        }
        escaped = letter == '\\' && !escaped;
    }
    found.retain(|argument| !argument.is_empty());
    found
}

#[test]
fn a_path_is_found_through_variables_and_helpers() {
    let source = r#"
pub(crate) fn in_room(room: &str, rest: &str) -> String {
    format!("rooms/{}/{rest}", encode(room))
}

async fn does(user: &Client, what: &str) {
    let path = in_room("!a", what);
    user.post(&path, json!({})).await;
}

#[tokio::test]
async fn a_story() {
    let base = format!("user/{}", encode(&alice.user_id));
    alice.put(&format!("{base}/filter/{n}?x={y}"), json!({"a": "), b"})).await;
    alice
        .raw(Method::DELETE, "devices", &[], "")
        .await;
    does(&alice, "leave").await;
    alice.get(&anything.at_all()).await;
}
"#;
    let mut sources = Source::default();
    sources.add("story", source);
    let expected = [
        (("DELETE", "devices".to_owned()), 0),
        (("GET", "*".to_owned()), 0),
        (("POST", "rooms/*/leave".to_owned()), 1),
        (("PUT", "user/*/filter/*?x=*".to_owned()), 0),
    ];
    let expected = ("story::a_story".to_owned(), expected.into());
    assert_eq!(sources.tests(), [expected]);
}
