//! Configurations by chance: each loads, or its faults are told in their places.

use proptest::prelude::*;

use super::*;

/// Lines of which configurations are made, right and wrong.
const LINES: [&str; 40] = [
    "[listen]",
    "[admin]",
    "[store]",
    "[limits]",
    "[masking]",
    "[[database]]",
    "[[credential]]",
    "[[issuer]]",
    "address = \"127.0.0.1:0\"",
    "address = \"0.0.0.0:99999\"",
    "address = [\"[::1]:5432\"]",
    "tls = { certificate = \"server.crt\", key = \"server.key\" }",
    "tls = { certificate = \"server.crt\", key = \"other.key\" }",
    "allow_plaintext = true",
    "path = \"data\"",
    "durability = \"power\"",
    "durability = 7",
    "key_file = \"master.key\"",
    "witness = \"witness\"",
    "record = \"off\"",
    "sessions_max = 7",
    "sessions_max = -1",
    "login_ms = 99999999999999999999",
    "holds_max = 0",
    "notices = false",
    "name = \"clinic\"",
    "name = \"*\"",
    "name = \"\"",
    "upstream = \"postgresql://app@127.0.0.1/clinic\"",
    "upstream = \"postgresql://app@db.internal:5432/clinic?sslmode=verify-full&sslmode=disable\"",
    "upstream = \"postgresql://%zz@:0/?x\"",
    "password_file = \"password\"",
    "password_file = \"good\"",
    "password_env = \"UPSTREAM\"",
    "policy = \"good\"",
    "policy = \"bad.toml\"",
    "groups = [\"agents\"]",
    "groups = [1, \"\"]",
    "verifier = \"SCRAM-SHA-256$4096:AAECAwQFBgcICQoLDA0ODw==$x\"",
    "expires = 2026-12-31T00:00:00Z",
];

fn line() -> impl Strategy<Value = String> {
    let known = prop::sample::select(LINES.to_vec());
    let broken = (known.clone(), 0..40_usize, any::<char>()).prop_map(|(line, at, with)| {
        let mut chars: Vec<char> = line.chars().collect();
        let at = at % chars.len();
        chars[at] = with;
        chars.into_iter().collect()
    });
    prop_oneof![8 => known.prop_map(str::to_owned), 1 => broken, 1 => "[a-z_]{1,9} = (\"[^\"\\\\]{0,9}\"|[0-9]{1,20}|\\[\\]|\\{\\})"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_an_answer(lines in prop::collection::vec(line(), 0..24), whole in any::<bool>()) {
        thread_local!(static FOLDER: tempfile::TempDir = folder());
        let text = lines.join("\n");
        let text = if whole { minimal(&text) } else { text };
        FOLDER.with(|folder| {
            if let Err(faults) = load(folder.path(), &text) {
                assert!(!faults.is_empty());
                assert!(faults.iter().all(|fault| fault.starts_with("pgveil.toml:") || fault.contains(".toml:")), "{faults:?}");
                assert!(faults.iter().all(|fault| !fault.contains("hunter2") && !fault.contains("from-env")), "{faults:?}");
            }
        });
    }
}
