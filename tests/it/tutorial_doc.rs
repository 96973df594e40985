//! `docs/tutorial.md`, pasted into a shell block by block: each answer is what the page shows.

use std::fs;
use std::process::Command;

use greenroom_tests::TestServer;
use serde_json::Value;

/// Printed behind what each block prints.
const END_OF_BLOCK: &str = "--- end of block ---";

/// What the page says in one place: what to type, and the last answer to it.
struct Step {
    commands: String,
    answer: Option<Value>,
}

/// The `sh` blocks of a page, each with the `json` block before the next one.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut rest = page;
    while let Some((_, block)) = rest.split_once("\n```") {
        let (language, block) = block.split_once('\n').expect("a line with the language");
        let (text, behind) = block.split_once("\n```\n").expect("the end of the block");
        // The next opening fence may stand right behind.
        rest = behind;
        match language {
            "sh" => steps.push(Step {
                commands: text.to_owned(),
                answer: None,
            }),
            "json" => {
                let answer = serde_json::from_str(text)
                    .unwrap_or_else(|error| panic!("{error} in the page's\n{text}"));
                let step = steps.last_mut().expect("a command before its answer");
                assert!(step.answer.replace(answer).is_none(), "two answers: {text}");
            }
            other => panic!("a block of {other:?}"),
        }
    }
    steps
}

/// Whether `answer` is what the page shows, which may leave things out and end texts with `…`.
fn shows(page: &Value, answer: &Value, at: &str) -> Result<(), String> {
    let differs = || Err(format!("{at}: the page has {page}, the server {answer}"));
    match (page, answer) {
        (Value::String(page), Value::String(answer)) => match page.strip_suffix('…') {
            Some(beginning) if answer.starts_with(beginning) && answer != beginning => Ok(()),
            None if page == answer => Ok(()),
            _ => differs(),
        },
        (Value::Object(page), Value::Object(answer)) => {
            for (key, inner) in page {
                let found = match key.strip_suffix('…') {
                    Some(sigil) => answer.iter().find(|(key, _)| key.starts_with(sigil)),
                    None => answer.get_key_value(key),
                };
                let Some((key, found)) = found else {
                    return Err(format!("{at}: no {key} in {answer:?}"));
                };
                shows(inner, found, &format!("{at}.{key}"))?;
            }
            Ok(())
        }
        // One of them stands for all; an empty list only says that it is one.
        (Value::Array(page), Value::Array(answer)) => match page.first() {
            Some(page) if !answer.iter().any(|it| shows(page, it, at).is_ok()) => differs(),
            _ => Ok(()),
        },
        (Value::Number(_), Value::Number(_)) | (Value::Null, Value::Null) => Ok(()),
        (Value::Bool(page), Value::Bool(answer)) if page == answer => Ok(()),
        _ => differs(),
    }
}

/// The values in what a block has printed, one after another.
fn values(printed: &str) -> Vec<Value> {
    serde_json::Deserializer::from_str(printed)
        .into_iter()
        .map(|value| value.unwrap_or_else(|error| panic!("{error} in {printed}")))
        .collect()
}

#[tokio::test]
async fn every_line_of_the_tutorial_works_and_answers_as_shown() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/tutorial.md");
    let page = fs::read_to_string(page).expect("the tutorial");
    let steps = steps(&page);
    assert!(steps.len() > 10, "{} steps", steps.len());
    for step in &steps {
        // Even in double quotes, a shell that one types to takes it for its history.
        assert!(!step.commands.contains('!'), "{}", step.commands);
    }
    let server = TestServer::builder().tls().start().await;

    // One shell for all: a block uses what an earlier one has set.
    let blocks: Vec<String> = steps
        .iter()
        .map(|step| format!("{}\necho; echo '{END_OF_BLOCK}'\n", step.commands))
        .collect();
    let script = blocks.concat();
    let output = Command::new("sh")
        .args(["-eu", "-c", &script])
        .env("SERVER", server.tls_url().expect("a server with TLS"))
        .output()
        .expect("a shell");
    let printed = String::from_utf8(output.stdout).expect("answers are UTF-8");
    assert!(output.status.success(), "{printed}\n{:?}", output.stderr);

    let blocks: Vec<&str> = printed.split(END_OF_BLOCK).collect();
    assert_eq!(blocks.len(), steps.len() + 1, "{printed}");
    for (step, block) in steps.iter().zip(blocks) {
        let values = values(block);
        let (last, before) = values
            .split_last()
            .unwrap_or_else(|| panic!("no answer to\n{}", step.commands));
        for value in before {
            assert!(
                value.get("errcode").is_none(),
                "{value} to\n{}",
                step.commands
            );
        }
        let shown = step
            .answer
            .as_ref()
            .unwrap_or_else(|| panic!("the page shows no answer to\n{}", step.commands));
        if let Err(difference) = shows(shown, last, "") {
            panic!("{difference}\nto\n{}", step.commands);
        }
        assert_eq!(
            last.get("errcode").is_some(),
            shown.get("errcode").is_some(),
            "{last}"
        );
    }
}

#[test]
fn an_answer_that_differs_from_the_page_is_found() {
    let page: Value = serde_json::from_str(r#"{"a": ["x…"], "!…": {"b": true}}"#).unwrap();
    for (answer, fits) in [
        (
            r#"{"a": ["y", "xy"], "!room": {"b": true}, "more": 1}"#,
            true,
        ),
        (r#"{"a": ["y"], "!room": {"b": true}}"#, false),
        (r#"{"a": ["xy"], "!room": {"b": false}}"#, false),
        (r#"{"a": ["xy"]}"#, false),
        (r#"{"a": "xy", "!room": {"b": true}}"#, false),
    ] {
        let answer = serde_json::from_str(answer).unwrap();
        assert_eq!(shows(&page, &answer, "").is_ok(), fits, "{answer}");
    }
}
