//! What a policy file may say.

use super::*;

#[test]
fn five_faults_give_five_messages() {
    let text = r#"
[default]
then = "alow"

[[mask]]
columns = ["clinical.patients"]
with = "redakt"

[[rule]]
name = "one"
when = { verb = ["delet"], wheer = "absent" }
then = { hold = { approvers = ["compliance"], within = "15 minutes" } }
"#;
    let found = faults(text);
    for wanted in [
        "p.toml:1:1: the policy lacks `[unknown]`",
        "p.toml:3:8: `then` is `alow`",
        "p.toml:6:12: `clinical.patients` names no column: write `schema.table.column`",
        "p.toml:7:8: unknown strategy `redakt`; did you mean `redact`?",
        "p.toml:11:18: unknown verb `delet`; did you mean `delete`?",
        "p.toml:11:28: unknown key `wheer` in `when`; did you mean `where`?",
        "p.toml:12:56: `within` is `15 minutes`; a duration is written like",
    ] {
        assert!(found.iter().any(|line| line.starts_with(wanted)), "{wanted} not in {found:#?}");
    }
    assert_eq!(found.len(), 7, "{found:#?}");
}

#[test]
fn strategies_mean_what_they_say() {
    let of = |with: &str| {
        let policy = policy(&format!("[[mask]]\ncolumns = [\"a.b.c\"]\nwith = {with}"));
        policy.masks_for(&[]).remove(0).strategy
    };
    let json = |rules: &[(&str, Strategy)]| {
        Strategy::Json(JsonMask::new(rules.iter().map(|(path, with)| (*path, with.clone()))).unwrap())
    };
    assert_eq!(
        of("{ json = { paths = [\"$.a\", \"$.b[*]\"], with = \"redact\", \"$.dob\" = \"year\" } }"),
        json(&[("$.a", Strategy::Redact), ("$.b[*]", Strategy::Redact), ("$.dob", Strategy::Year)])
    );
    assert_eq!(of("{ json = { \"$.a\" = { partial = { keep_last = 4 } } } }"), json(&[("$.a", Strategy::KeepLast(4))]));
    assert_eq!(of("{ elements = { round = 10 } }"), Strategy::Elements(Box::new(Strategy::Round(10.0))));
    assert_eq!(of("\"age\""), Strategy::Age(89));
    assert_eq!(of("{ age = { over = 79 } }"), Strategy::Age(79));
    assert_eq!(of("{ round = \"month\" }"), Strategy::Month);
    assert_eq!(
        of("{ pseudonym = { scope = \"patient\", format = \"digits\" } }"),
        Strategy::PseudonymAs(PseudonymAs { scope: Some("patient".to_owned()), form: PseudonymForm::Digits })
    );
    assert_eq!(
        of("{ csv = { delimiter = \"\\t\", columns = [3, 2], with = \"redact\" } }"),
        Strategy::Csv(CsvMask { delimiter: b'\t', columns: vec![2, 3], with: Box::new(Strategy::Redact) })
    );
}

#[test]
fn every_fault_names_what_is_wrong() {
    let with = |with: &str| format!("[[mask]]\ncolumns = [\"a.b.c\"]\nwith = {with}");
    let rule = |when: &str, then: &str| format!("[[rule]]\nname = \"r\"\nwhen = {when}\nthen = {then}");
    let cases: Vec<(String, &str)> = vec![
        ("mask = 1".into(), "`mask` is written as `[[mask]]`"),
        ("[[mask]]\ncolumns = []\nwith = \"null\"".into(), "`columns` is an empty list"),
        ("[[mask]]\ncolumns = [\"a.b.[c]\"]\nwith = \"null\"".into(), "only `*` and `?` are special"),
        ("[[mask]]\ncolumns = [\"a..c\"]\nwith = \"null\"".into(), "write `schema.table.column`"),
        ("[[mask]]\ncolumns = [\"a.b.c\", \"a.b.c\"]\nwith = \"null\"".into(), "names `a.b.c` twice"),
        ("[[mask]]\ncolumns = [\"a.b.c\"]".into(), "lacks `with`"),
        ("[[mask]]\ncolumns = [\"a.b.c\"]\nwith = \"partial\"".into(), "needs its value"),
        ("[[mask]]\ncolumns = [\"a.b.c\"]\nwith = { partial = {} }".into(), "either `keep_last` or `keep_first`"),
        ("[[mask]]\ncolumns = [\"a.b.c\"]\nwith = { partial = { keep_last = 0 } }".into(), "must be from 1 to 64"),
        ("[[mask]]\ncolumns = [\"a.b.c\"]\nwith = { round = -1 }".into(), "must be above 0"),
        ("[[mask]]\ncolumns = [\"a.b.c\"]\nwith = { hash = 1 }".into(), "unknown key `hash`"),
        (with("\"json\""), "needs its value"),
        (with("{ json = {} }"), "names no path"),
        (with("{ json = { paths = [\"$.a\"] } }"), "lacks `with`"),
        (with("{ json = { with = \"redact\" } }"), "goes with `paths`"),
        (with("{ json = { paths = [\"a.b\"], with = \"redact\" } }"), "`a.b` is no path into json: it must begin with `$`"),
        (with("{ json = { \"$\" = \"redact\" } }"), "mask the column itself"),
        (with("{ json = { \"$.a[x]\" = \"redact\" } }"), "in brackets stands"),
        (with("{ json = { \"$.a\" = { json = { \"$.b\" = \"null\" } } } }"), "`json` cannot stand here"),
        (with("{ json = { \"$.a\" = \"yaer\" } }"), "did you mean `year`?"),
        (with("{ elements = { elements = \"redact\" } }"), "cannot stand here"),
        (with("{ csv = { with = \"redact\" } }"), "lacks `columns`"),
        (with("{ csv = { columns = [0], with = \"redact\" } }"), "must be from 1 to 1600"),
        (with("{ csv = { columns = [1], with = \"redact\", delimiter = \"ab\" } }"), "one sign of ASCII"),
        (with("{ age = { over = 0 } }"), "must be from 1 to 150"),
        (with("{ round = \"week\" }"), "a number, `year` or `month`"),
        (with("{ pseudonym = { format = \"hex\" } }"), "`token`, `digits`, `uuid` or `name`"),
        (with("{ pseudonym = { scope = \"\" } }"), "`scope` is empty"),
        (
            "[[mask]]\ncolumns = [\"a.b.c\"]\nwith = \"null\"\n[[mask]]\ncolumns = [\"a.b.c\"]\nwith = \"redact\"".into(),
            "is masked twice for the same groups; the first time in line 4",
        ),
        (rule("{}", "\"block\""), "would match every statement"),
        (rule("{ verb = \"select\", where = \"absent\" }", "\"block\""), "the rule would never apply"),
        (rule("{ where = \"missing\" }", "\"block\""), "`absent`, `tautology` or `restricts`"),
        (rule("{ target = \"temporary\" }", "\"block\""), "it can only be `not temporary`"),
        (rule("{ reads = \"all\" }", "\"block\""), "it can only be `phi`"),
        (rule("{ groups = [\"a\"], not_groups = [\"a\"] }", "\"block\""), "stands in `groups` and in `not_groups`"),
        (rule("{ verb = \"select\", rows_over = 5 }", "\"block\""), "can only hold"),
        (rule("{ verb = \"select\", rows_over = 0 }", HOLD), "must be from 1"),
        (rule("{ verb = \"truncate\", rows_over = 5 }", HOLD), "no verb of the rule sends any"),
        (rule("{ verb = \"select\" }", "\"hold\""), "a hold needs approvers"),
        (rule("{ verb = \"select\" }", "{ hold = { approvers = [] } }"), "`approvers` is an empty list"),
        (rule("{ verb = \"select\" }", "{ hold = { approvers = [\"a\"], approvals = 0 } }"), "must be from 1 to 16"),
        (rule("{ verb = \"select\" }", "{ hold = { approvers = [\"a\"], within = \"90d\" } }"), "it must be from 100ms to 7d"),
        (rule("{ verb = \"select\" }", "{ hold = { approver = [\"a\"] } }"), "did you mean `approvers`?"),
        (rule("{ function = \"a b\" }", "\"block\""), "is no pattern"),
        (format!("{0}\n{0}", rule("{ verb = \"select\" }", "\"block\"")), "is taken by the rule in line 4"),
        ("[[rule]]\nname = \"r\"\nthen = \"block\"".into(), "lacks `when`"),
        ("[[rule]]\nname = \"r\"\nwhen_any = []\nthen = \"block\"".into(), "would never apply"),
        ("[[rule]]\nname = \"[masked]\"\nwhen = { verb = \"select\" }\nthen = \"block\"".into(), "may hold letters"),
        ("known_functions = [\"digest\"]".into(), "`schema.name`"),
        ("x = ".into(), "p.toml:3:"),
    ];
    for (text, wanted) in cases {
        let found = with_answers(&text);
        assert!(found.iter().any(|line| line.contains(wanted)), "{text}\nwanted {wanted}\nfound {found:#?}");
    }
}

#[test]
fn a_missing_answer_does_not_load() {
    assert!(faults("").iter().any(|line| line.contains("lacks `[default]`")));
    assert!(faults("[default]\nthen = \"allow\"").iter().any(|line| line.contains("lacks `[unknown]`")));
}

#[test]
fn every_verb_is_known_by_its_name() {
    for name in when::VERBS {
        let verb = when::verb(name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(serde_json::to_value(verb).unwrap(), name);
    }
    assert_eq!(when::VERBS.iter().collect::<BTreeSet<_>>().len(), when::VERBS.len());
}

#[test]
fn the_policies_of_the_project_load() {
    for path in [
        "policies/hipaa-safe-harbor/policy.toml",
        "fixtures/stand/corpus-policy.toml",
        "fixtures/stand/risk-policy.toml",
        "fixtures/stand/plain-policy.toml",
    ] {
        let text = std::fs::read_to_string(path).unwrap();
        let policy = Policy::parse(&text, path).unwrap_or_else(|faults| panic!("{faults:#?}"));
        assert_eq!(policy.masks_for(&["clinicians".to_owned()]), vec![]);
        assert_eq!(policy.phi().is_empty(), path.contains("plain"));
    }
}

#[test]
fn the_first_mask_that_names_a_column_counts() {
    let policy = policy(
        "[[mask]]\ncolumns = [\"a.b.c\"]\nwith = \"redact\"\nunless_groups = [\"x\", \"y\"]\n\
         [[mask]]\ncolumns = [\"a.b.c\"]\nwith = { partial = { keep_last = 4 } }\nunless_groups = [\"y\"]",
    );
    let of = |groups: &[&str]| policy.masks_for(&groups.iter().map(|g| (*g).to_owned()).collect::<Vec<_>>());
    assert_eq!(of(&["z"])[0].strategy, Strategy::Redact);
    assert_eq!(of(&["x"])[0].strategy, Strategy::KeepLast(4));
    assert_eq!(of(&["z", "y"]), vec![]);
    assert!(of(&["z"]).iter().any(|rule| rule.column == "pg_catalog.pg_stat_activity.query"));
    assert_eq!(policy.phi().len(), 1);
}

#[test]
fn the_version_is_that_of_the_text() {
    let text = "default.then = \"allow\"\nunknown.then = \"block\"\n";
    let one = Policy::parse(text, "a").unwrap();
    assert_eq!(one.version(), Policy::parse(text, "b").unwrap().version());
    assert_ne!(one.version(), Policy::parse(&format!("{text}#"), "a").unwrap().version());
}

#[test]
fn globs_match_whole_names() {
    for (pattern, name, wanted) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("a*", "abc", true),
        ("*c", "abc", true),
        ("a*c*e", "abcde", true),
        ("a*c*f", "abcde", false),
        ("?b?", "abc", true),
        ("??", "a", false),
        ("*", "", true),
        ("pg_*_replication_slot", "pg_drop_replication_slot", true),
        ("pg_ls_*dir", "pg_ls_waldir", true),
        ("??", "\u{e9}\u{20ac}", true),
        ("*???", "\u{e9}\u{20ac}", false),
        ("*\u{20ac}?", "a\u{20ac}\u{20ac}b", true),
    ] {
        assert_eq!(glob::matches(pattern, name), wanted, "{pattern} {name}");
    }
}

#[test]
fn durations_are_read_and_shown() {
    for (text, ms) in
        [("1s", Some(1000)), ("15m", Some(900_000)), ("2h", Some(7_200_000)), ("500ms", Some(500)), ("1d", Some(86_400_000))]
    {
        assert_eq!(parse_ms(text), ms);
        assert_eq!(show_ms(ms.unwrap()), text);
    }
    for text in ["", "5", "s", "-1s", "1.5h", "1 s", "99999999999999999999s", "18446744073709551615d"] {
        assert_eq!(parse_ms(text), None, "{text}");
    }
}
