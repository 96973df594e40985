use ruma::{
    server_name,
    signatures::{hash_and_sign_event, sign_json},
};
use serde_json::json;

use crate::{
    EventSigner,
    sign::KeyError,
    tests::{SPEC_KEY, object, version},
};

fn domain() -> EventSigner {
    EventSigner::load(server_name!("domain"), SPEC_KEY).unwrap()
}

#[test]
fn json_is_signed_as_in_the_appendix() {
    for (mut unsigned, expected) in [
        (
            object(&json!({})),
            "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ",
        ),
        (
            object(&json!({ "one": 1, "two": "Two" })),
            "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw",
        ),
    ] {
        assert_eq!(
            domain().sign(serde_json::to_string(&unsigned).unwrap().as_bytes()),
            expected
        );
        sign_json("domain", domain().key_pair(), &mut unsigned).unwrap();
        let signed = serde_json::to_value(&unsigned).unwrap();
        assert_eq!(signed["signatures"]["domain"]["ed25519:1"], expected);
    }
}

#[test]
fn events_are_signed_as_in_the_appendix() {
    let mut minimal = object(&json!({
        "room_id": "!x:domain", "sender": "@a:domain", "origin": "domain",
        "origin_server_ts": 1_000_000, "signatures": {}, "hashes": {}, "type": "X", "content": {},
        "prev_events": [], "auth_events": [], "depth": 3, "unsigned": { "age_ts": 1_000_000 },
    }));
    hash_and_sign_event(
        "domain",
        domain().key_pair(),
        &mut minimal,
        &version(1).rules.redaction,
    )
    .unwrap();
    let signed = serde_json::to_value(&minimal).unwrap();
    assert_eq!(
        signed["hashes"]["sha256"],
        "5jM4wQpv6lnBo7CLIghJuHdW+s2CMBJPUOGOC89ncos"
    );
    assert_eq!(
        signed["signatures"]["domain"]["ed25519:1"],
        "KxwGjPSDEtvnFgU00fwFz+l6d2pJM6XBIaMEn81SXPTRl16AqLAYqfIReFGZlHi5KLjAWbOoMszkwsQma+lYAg"
    );
}

#[test]
fn a_key_loads_as_it_was_exported() {
    let signer = EventSigner::generate(server_name!("localhost")).unwrap();
    let text = signer.export();
    let again =
        EventSigner::load(server_name!("localhost"), &format!("{}\n", text.as_str())).unwrap();
    assert_eq!(again.export(), text);
    assert_eq!(again.key_id(), signer.key_id());
    assert_eq!(again.public_key_base64(), signer.public_key_base64());
    assert_eq!(again.sign(b"x"), signer.sign(b"x"));
    assert!(
        signer.key_id().starts_with("ed25519:a_"),
        "{}",
        signer.key_id()
    );
    assert_eq!(signer.key_id().len(), "ed25519:a_".len() + 6);
}

#[test]
fn two_generated_keys_differ_in_name_and_secret() {
    let one = EventSigner::generate(server_name!("localhost")).unwrap();
    let two = EventSigner::generate(server_name!("localhost")).unwrap();
    assert_ne!(one.key_id(), two.key_id());
    assert_ne!(one.export(), two.export());
}

#[test]
fn what_is_not_a_key_is_refused_without_being_quoted() {
    for (text, error) in [
        ("", KeyError::Format),
        ("ed25519 a_1", KeyError::Format),
        ("ed25519 a_1 AAAA extra", KeyError::Format),
        ("rsa a_1 AAAA", KeyError::Algorithm),
        ("ed25519 a:1 AAAA", KeyError::Version),
        ("ed25519 a_1 AAAA", KeyError::Seed),
        ("ed25519 a_1 !!!!", KeyError::Seed),
    ] {
        let refused = EventSigner::load(server_name!("localhost"), text).err();
        assert_eq!(refused, Some(error), "{text}");
        assert!(!error.to_string().contains("AAAA"));
    }
    let padded = format!("{SPEC_KEY}=");
    assert!(EventSigner::load(server_name!("localhost"), &padded).is_ok());
}

#[test]
fn debug_hides_the_secret() {
    let debug = format!("{:?}", domain());
    assert!(debug.contains("ed25519:1"), "{debug}");
    assert!(!debug.contains("YJDBA9"), "{debug}");
    // Nor as numbers: 96 144 193 are the seed's first bytes.
    assert!(!debug.contains("96, 144"), "{debug}");
}
