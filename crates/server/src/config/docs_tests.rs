//! What is written about the configuration is so.

use std::{collections::BTreeMap, fs, path::Path};

use super::*;

/// Settings whose value in the example is no default: it is the machine's, or there is none.
const NO_DEFAULT: &[&str] = &[
    "workers",
    "public_base_url",
    "tls.certificate",
    "tls.key",
    "outbound.certificates",
];

fn read(name: &str) -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    fs::read_to_string(docs.join(name)).unwrap()
}

fn load(file: Option<&Path>) -> Loaded {
    Config::load(&Sources {
        file: file.map(Path::to_owned),
        ..Sources::default()
    })
    .unwrap()
}

/// What `greenroom config check` shows of each setting: the value, and where it comes from.
fn shown(loaded: &Loaded) -> BTreeMap<String, (String, String)> {
    let text = loaded.to_string();
    text.lines()
        .map(|line| {
            let (key, rest) = line.split_once(" = ").unwrap();
            let (value, origin) = rest.split_once("  (").unwrap();
            (key.to_owned(), (value.to_owned(), origin.to_owned()))
        })
        .collect()
}

#[test]
fn the_example_has_every_setting_with_its_default() {
    let folder = tempfile::tempdir().unwrap();
    let example: String = read("greenroom.example.toml")
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => format!("{setting}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    // Files must be there.
    let pem = folder.path().join("file.pem");
    fs::write(&pem, "").unwrap();
    let example = ["certificate.pem", "key.pem", "authorities.pem"]
        .iter()
        .fold(example, |example, name| {
            example.replace(
                &format!("/etc/greenroom/{name}"),
                &pem.display().to_string(),
            )
        });
    let path = folder.path().join("greenroom.toml");
    fs::write(&path, example).unwrap();

    let loaded = load(Some(&path));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let (written, defaults) = (shown(&loaded), shown(&load(None)));
    assert_eq!(written.len(), settings::SETTINGS.len());
    for (key, (value, origin)) in &written {
        assert!(origin.starts_with("file "), "{key} is not in the example");
        if !NO_DEFAULT.contains(&key.as_str()) {
            assert_eq!(value, &defaults[key].0, "{key}");
        }
    }
}

#[test]
fn as_it_stands_the_example_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("greenroom.toml");
    fs::write(&path, read("greenroom.example.toml")).unwrap();
    assert_eq!(shown(&load(Some(&path))), shown(&load(None)));
}

#[test]
fn the_page_names_every_setting_by_its_key_its_variable_and_its_flag() {
    let page = read("configuration.md");
    for setting in settings::SETTINGS {
        let (key, rate) = match setting.key.strip_prefix("rate_limits.") {
            // Those of an act are one row.
            Some(rate) if rate.contains('.') => ("rate_limits.ACT.WHOSE.", true),
            _ => (setting.key, false),
        };
        assert!(page.contains(&format!("`{key}")), "{key}");
        if !rate {
            assert!(
                page.contains(&format!("`GREENROOM_{}`", setting.env)),
                "{key}"
            );
        }
        if let Some(flag) = setting.flag_name() {
            assert!(page.contains(&format!("`{flag}`")), "{flag}");
        }
    }
}

/// The words of a text that name a variable of ours.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_uppercase() && c != '_')
        .filter_map(|word| word.strip_prefix("GREENROOM_"))
}

#[test]
fn what_the_operator_copies_sets_what_there_is() {
    for name in [
        "../Dockerfile",
        "../docker-compose.yml",
        "operating.md",
        "configuration.md",
    ] {
        let text = read(name);
        // The port is the compose file's own; the file is named by a variable, but no setting.
        let others = ["PORT", "CONFIG", ""];
        for variable in variables(&text).filter(|variable| !others.contains(variable)) {
            let known = settings::SETTINGS
                .iter()
                .any(|setting| setting.env == variable);
            assert!(
                known || variable.starts_with("RATE_LIMITS_ACT_WHOSE_"),
                "{name}: GREENROOM_{variable}"
            );
        }
    }

    // Each file of settings, as it stands, is read without a complaint.
    for name in ["operating.md", "configuration.md"] {
        let page = read(name);
        for part in page.split("```toml\n").skip(1) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("greenroom.toml");
            fs::write(&path, part.split("```").next().unwrap()).unwrap();
            let loaded = load(Some(&path));
            assert!(loaded.warnings.is_empty(), "{name}: {:?}", loaded.warnings);
        }
    }
}
