use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const NOW_S: i64 = 1_800_000_000;

fn now() -> Timestamp {
    Timestamp::from_second(NOW_S).unwrap()
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn token(header: &Value, claims: &Value) -> String {
    format!("{}.{}.c2ln", encode(header), encode(claims))
}

fn rules() -> Rules {
    Rules {
        name: "okta".into(),
        issuer: "https://id.example".into(),
        audience: vec!["pgveil".into(), "pgveil-cli".into()],
        client_id: Some("pgveil-cli".into()),
        parties: vec![],
        algorithms: vec![Algorithm::Es256],
        leeway_s: 30,
        names: vec!["preferred_username".into(), "email".into()],
        groups: GroupRules { claim: Some("groups".into()), ..GroupRules::default() },
        assurance: vec![],
        at_expiry: None,
    }
}

fn good() -> Value {
    json!({
        "iss": "https://id.example", "aud": "pgveil", "sub": "u-1", "iat": NOW_S - 10, "nbf": NOW_S - 10, "exp": NOW_S + 60,
        "groups": ["clinicians"], "preferred_username": "carla",
    })
}

/// The good claims with some changed; null takes one out.
fn with(changes: Value) -> Value {
    let mut claims = good();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

fn judge(rules: &Rules, claims: &Value) -> Result<Identity, TokenFault> {
    let text = token(&json!({"alg": "ES256"}), claims);
    let claims = Token::read(text.as_bytes()).unwrap().verified(|_, _| true).unwrap();
    rules.judge(&claims, now(), None)
}

fn category(rules: &Rules, changes: Value) -> String {
    judge(rules, &with(changes)).map_or_else(|fault| fault.category().to_owned(), |_| "let in".to_owned())
}

#[test]
fn a_good_token_says_who_it_is_of() {
    let identity = judge(&rules(), &good()).unwrap();
    assert_eq!((identity.name.as_str(), identity.subject.as_str(), identity.issuer.as_str()), ("carla", "u-1", "okta"));
    assert_eq!(identity.groups, ["clinicians"]);
    assert_eq!(identity.expires.unwrap().as_second(), NOW_S + 60 + 30, "by clocks that may differ");
    assert_eq!(identity.actor, "");
}

#[test]
fn forms_that_are_no_token_are_refused_by_their_kind() {
    let claims = good();
    let header = |header: Value| token(&header, &claims);
    let good = header(json!({"alg": "ES256", "kid": "k", "typ": "at+jwt"}));
    let (head, rest) = good.split_once('.').unwrap();
    let cases: Vec<(String, &str)> = vec![
        (good.clone(), "read"),
        (header(json!({"alg": "ES256", "typ": "application/at+JWT"})), "read"),
        (String::new(), "malformed-token"),
        ("hunter2".into(), "malformed-token"),
        ("..".into(), "malformed-token"),
        ("a.b".into(), "malformed-token"),
        (format!("{good}="), "malformed-token"),
        (format!("{head}=.{rest}"), "malformed-token"),
        (format!("{good}.x"), "malformed-token"),
        (format!("{good}.x.y"), "encrypted-token"),
        (good.replace('.', "\u{ff0e}"), "malformed-token"),
        (format!("{}.{rest}", URL_SAFE_NO_PAD.encode("[1]")), "malformed-token"),
        (format!("{}.{rest}", URL_SAFE_NO_PAD.encode("{\"alg\":\"ES256\"} ")), "read"),
        (format!("{}.{rest}", URL_SAFE_NO_PAD.encode("{\"alg\":\"ES256\"}x")), "malformed-token"),
        (format!("{head}.{}.c2ln", URL_SAFE_NO_PAD.encode("[".repeat(40_000))), "malformed-token"),
        (format!("{head}.{}.c2ln", URL_SAFE_NO_PAD.encode(b"{\"a\":\"\xff\"}")), "malformed-token"),
        (header(json!({"alg": "none"})), "algorithm"),
        (header(json!({"alg": "None"})), "algorithm"),
        (header(json!({"alg": "HS256"})), "algorithm"),
        (header(json!({"alg": "RS1"})), "algorithm"),
        (header(json!({"alg": 1})), "malformed-token"),
        (header(json!({})), "malformed-token"),
        (header(json!({"alg": "ES256", "crit": ["exp"]})), "token-type"),
        (header(json!({"alg": "ES256", "b64": false, "crit": ["b64"]})), "token-type"),
        (header(json!({"alg": "ES256", "typ": "logout+jwt"})), "token-type"),
        (header(json!({"alg": "ES256", "typ": "dpop+jwt"})), "token-type"),
        (header(json!({"alg": "ES256", "typ": 7})), "malformed-token"),
        (header(json!({"alg": "ES256", "kid": ["k"]})), "malformed-token"),
        (header(json!({"alg": "ES256", "kid": "k".repeat(600)})), "malformed-token"),
        (header(json!({"alg": "ES256", "x": "x".repeat(9_000)})), "malformed-token"),
        (token(&json!({"alg": "ES256"}), &json!({"x": "x".repeat(TOKEN_BYTES_MAX)})), "oversized-token"),
        (format!("{head}.{}.{}", encode(&claims), "A".repeat(3_000)), "malformed-token"),
    ];
    for (text, expected) in cases {
        let read = Token::read(text.as_bytes());
        let shown = read.as_ref().map_or_else(|fault| fault.category().to_owned(), |_| "read".to_owned());
        assert_eq!(shown, expected, "{}", &text[..text.len().min(200)]);
        assert!(!format!("{read:?}").contains("carla"), "a token is shown");
    }
}

#[test]
fn a_wrong_signature_gives_no_claims() {
    let text = token(&json!({"alg": "ES256"}), &good());
    let read = Token::read(text.as_bytes()).unwrap();
    let (signed, signature) = text.rsplit_once('.').unwrap();
    let read = read.verified(|bytes, mark| {
        assert_eq!((bytes, mark), (signed.as_bytes(), &*URL_SAFE_NO_PAD.decode(signature).unwrap()));
        false
    });
    assert_eq!(read.unwrap_err(), TokenFault::Signature);
}

#[test]
fn each_claim_is_looked_at() {
    let cases = [
        (json!({"iss": "https://id.example/"}), "unknown-issuer"),
        (json!({"iss": null}), "unknown-issuer"),
        (json!({"aud": "another"}), "wrong-audience"),
        (json!({"aud": null}), "wrong-audience"),
        (json!({"aud": ["another", "pgveil"]}), "let in"),
        (json!({"aud": ["another", 7, "pgveil"]}), "missing-claim"),
        (json!({"aud": {"pgveil": 1}}), "missing-claim"),
        (json!({"aud": "pgveil-cli", "azp": "pgveil-cli"}), "let in"),
        (json!({"aud": "pgveil-cli", "azp": "another"}), "wrong-client"),
        (json!({"aud": ["pgveil-cli", "another"]}), "wrong-client"),
        (json!({"aud": "pgveil-cli"}), "let in"),
        (json!({"azp": "another"}), "let in"),
        (json!({"exp": null}), "missing-claim"),
        (json!({"exp": "soon"}), "missing-claim"),
        (json!({"exp": NOW_S - 29}), "let in"),
        (json!({"exp": NOW_S - 30}), "expired-token"),
        (json!({"exp": NOW_S as f64 + 0.5}), "let in"),
        (json!({"exp": 1e300}), "missing-claim"),
        (json!({"exp": -1}), "missing-claim"),
        (json!({"exp": u64::MAX}), "missing-claim"),
        (json!({"nbf": NOW_S + 30}), "let in"),
        (json!({"nbf": NOW_S + 31}), "not-yet-valid"),
        (json!({"iat": NOW_S + 31}), "not-yet-valid"),
        (json!({"iat": null, "nbf": null}), "let in"),
        (json!({"sub": null}), "missing-claim"),
        (json!({"sub": ""}), "missing-claim"),
        (json!({"sub": "a\nb"}), "missing-claim"),
        (json!({"sub": 5}), "missing-claim"),
        (json!({"sub": "s".repeat(600)}), "missing-claim"),
        (json!({"groups": null}), "no-groups"),
        (json!({"groups": []}), "no-groups"),
        (json!({"groups": "clinicians"}), "let in"),
        (json!({"groups": [1]}), "missing-claim"),
        (json!({"groups": 1}), "missing-claim"),
        (json!({"groups": {"clinicians": {"org": "x"}}}), "let in"),
        (json!({"groups": (0..1_000).map(|n| format!("g{n}")).collect::<Vec<_>>()}), "too-many-groups"),
        (json!({"groups": (0..GROUPS_MAX).map(|n| format!("g{n}")).collect::<Vec<_>>()}), "let in"),
        (json!({"groups": null, "_claim_names": {"groups": "src1"}, "_claim_sources": {}}), "groups-overflow"),
        (json!({"_claim_names": {"groups": "src1"}}), "groups-overflow"),
        (json!({"_claim_names": {"address": "src1"}}), "let in"),
        (json!({"groups": null, "hasgroups": true}), "groups-overflow"),
        (json!({"groups": null, "hasgroups": "true"}), "groups-overflow"),
        (json!({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}), "token-type"),
        (json!({"act": {"sub": "mcp"}}), "let in"),
        (json!({"act": {}}), "missing-claim"),
        (json!({"act": "mcp"}), "missing-claim"),
        (
            json!({"act": {"sub": "a", "act": {"sub": "b", "act": {"sub": "c", "act": {"sub": "d", "act": {"sub": "e"}}}}}}),
            "missing-claim",
        ),
    ];
    for (changes, expected) in cases {
        let shown = changes.to_string();
        assert_eq!(category(&rules(), changes), expected, "{}", &shown[..shown.len().min(200)]);
    }
}

#[test]
fn who_a_token_was_given_to_can_be_required() {
    let rules = Rules { parties: vec!["ours".into()], ..rules() };
    for (changes, expected) in [
        (json!({}), "wrong-client"),
        (json!({"azp": "ours"}), "let in"),
        (json!({"client_id": "ours"}), "let in"),
        (json!({"appid": "ours"}), "let in"),
        (json!({"azp": "other", "client_id": "ours"}), "wrong-client"),
        (json!({"azp": ["ours"]}), "missing-claim"),
    ] {
        assert_eq!(category(&rules, changes), expected);
    }
}

#[test]
fn a_nonce_that_was_asked_for_must_be_there() {
    let read = |claims: &Value| {
        let text = token(&json!({"alg": "ES256"}), claims);
        Token::read(text.as_bytes()).unwrap().verified(|_, _| true).unwrap()
    };
    let judge = |claims: &Value, nonce| rules().judge(&read(claims), now(), nonce).map(|_| ());
    assert_eq!(judge(&with(json!({"nonce": "n"})), Some("n")), Ok(()));
    assert_eq!(judge(&with(json!({"nonce": "m"})), Some("n")), Err(TokenFault::Nonce));
    assert_eq!(judge(&good(), Some("n")), Err(TokenFault::Nonce));
}

#[test]
fn groups_come_by_path_prefix_and_map() {
    let read = |rules: GroupRules, changes: Value| {
        judge(&Rules { groups: rules, ..self::rules() }, &with(changes)).map(|identity| identity.groups)
    };
    let claim = |path: &str| GroupRules { claim: Some(path.into()), ..GroupRules::default() };
    let nested = json!({"realm_access": {"roles": ["a", "b", "a"]}});
    assert_eq!(read(claim("realm_access.roles"), nested.clone()).unwrap(), ["a", "b"]);
    assert_eq!(read(claim("realm_access.other"), nested.clone()), Err(TokenFault::NoGroups));
    assert_eq!(read(claim("realm_access"), nested).unwrap(), ["roles"]);
    assert_eq!(read(claim("https://x.example/groups"), json!({"https://x.example/groups": ["a"]})).unwrap(), ["a"]);
    let exact =
        GroupRules { claim: Some(ClaimPath::new(vec!["kubernetes.io".into(), "namespace".into()])), ..GroupRules::default() };
    assert_eq!(read(exact, json!({"kubernetes.io": {"namespace": "mcp"}})).unwrap(), ["mcp"]);
    let many: Vec<String> = (0..1_000).map(|n| format!("corp-{n}")).chain(["pgveil-agents".into()]).collect();
    let prefixed = GroupRules { prefix: "pgveil-".into(), ..claim("groups") };
    assert_eq!(read(prefixed, json!({"groups": many})).unwrap(), ["agents"]);
    let map: BTreeMap<_, _> = [("8f3".to_owned(), vec!["agents".to_owned(), "readers".to_owned()])].into();
    let mapped = GroupRules { map, ..claim("groups") };
    assert_eq!(read(mapped.clone(), json!({"groups": ["8f3", "agents"]})).unwrap(), ["agents", "readers"]);
    assert_eq!(read(mapped, json!({"groups": ["agents"]})), Err(TokenFault::NoGroups));
    let always = GroupRules { always: vec!["staff".into()], ..GroupRules::default() };
    assert_eq!(read(always, json!({"groups": ["agents"]})).unwrap(), ["staff"]);
    let subjects: BTreeMap<_, _> = [("u-1".to_owned(), vec!["agents".to_owned()])].into();
    let by_subject = GroupRules { subjects, ..GroupRules::default() };
    assert_eq!(read(by_subject.clone(), json!({"groups": null})).unwrap(), ["agents"]);
    assert_eq!(read(by_subject, json!({"sub": "u-2"})), Err(TokenFault::NoGroups));
    assert_eq!(read(claim("groups"), json!({"groups": ["a\u{7}b", "c"]})).unwrap(), ["c"]);
    let overflow = json!({"realm_access": null, "_claim_names": {"realm_access": "s"}});
    assert_eq!(read(claim("realm_access.roles"), overflow), Err(TokenFault::GroupsElsewhere));
}

#[test]
fn groups_can_ask_for_a_stronger_login() {
    let assurance = Assurance { groups: vec!["clinicians".into()], amr: vec!["mfa".into(), "hwk".into()], acr: vec![] };
    let strong = Rules { assurance: vec![assurance], ..rules() };
    for (changes, expected) in [
        (json!({}), "weak-login"),
        (json!({"amr": ["pwd"]}), "weak-login"),
        (json!({"amr": ["pwd", "mfa"]}), "let in"),
        (json!({"amr": "hwk"}), "let in"),
        (json!({"amr": 1}), "missing-claim"),
        (json!({"groups": ["agents"]}), "let in"),
    ] {
        assert_eq!(category(&strong, changes), expected);
    }
    let assurance = Assurance { groups: vec!["clinicians".into()], amr: vec![], acr: vec!["phr".into()] };
    let strong = Rules { assurance: vec![assurance], ..rules() };
    assert_eq!(category(&strong, json!({"acr": "phr"})), "let in");
    assert_eq!(category(&strong, json!({"acr": "0"})), "weak-login");
}

#[test]
fn who_acts_for_whom_is_kept() {
    let identity = judge(&rules(), &with(json!({"act": {"sub": "mcp", "act": {"sub": "gateway"}}}))).unwrap();
    assert_eq!((identity.subject.as_str(), identity.actor.as_str()), ("u-1", "mcp for gateway"));
}

#[test]
fn names_come_from_the_first_claim_that_is_there() {
    let name = |changes| judge(&rules(), &with(changes)).unwrap().name;
    assert_eq!(name(json!({"email": "c@x"})), "carla");
    assert_eq!(name(json!({"preferred_username": null, "email": "c@x"})), "c@x");
    assert_eq!(name(json!({"preferred_username": null, "email": "c@x", "email_verified": false})), "u-1");
    assert_eq!(name(json!({"preferred_username": "a\u{1b}[31m"})), "u-1");
    assert_eq!(name(json!({"preferred_username": "n".repeat(300)})), "u-1");
}

#[test]
fn a_name_stands_for_one_identity() {
    let mut book = NameBook::default();
    let mut enter = |subject: &str, name: &str, issuer: &str| {
        let mut identity = judge(&rules(), &good()).unwrap();
        (identity.subject, identity.name, identity.issuer) = (subject.to_owned(), name.to_owned(), issuer.to_owned());
        book.enter(&mut identity).map(|()| identity.name)
    };
    assert_eq!(enter("u-1", "carla", "okta").unwrap(), "carla@okta");
    assert_eq!(enter("u-1", "karla", "okta").unwrap(), "carla@okta", "who is renamed keeps the name");
    assert_eq!(enter("u-2", "carla", "okta").unwrap(), "u-2@okta", "nobody gets another's");
    assert_eq!(enter("u-1", "carla", "entra").unwrap(), "carla@entra");
    assert_eq!(enter("u-4", "u-3", "okta").unwrap(), "u-3@okta");
    assert_eq!(enter("u-3", "carla", "okta"), Err(TokenFault::Name));
}

#[test]
fn bearer_messages_are_read_strictly() {
    let read = |text: &str| match Bearer::read(text.replace('|', "\u{1}").as_bytes()) {
        Ok(Bearer::Discovery) => "discovery".to_owned(),
        Ok(Bearer::Token(token)) => String::from_utf8(token.reveal().to_vec()).unwrap(),
        Err(fault) => format!("{fault:?}"),
    };
    for (message, expected) in [
        ("n,,|auth=||", "discovery"),
        ("y,,|auth=||", "discovery"),
        ("n,,|auth=Bearer a.b-c_d~e+f/g==||", "a.b-c_d~e+f/g=="),
        ("n,,|auth=bearer   abc||", "abc"),
        ("n,,|host=x|auth=Bearer abc|port=1||", "abc"),
        ("n,,|auth=Bearer ||", "Malformed"),
        ("n,,|auth=Bearer a b||", "Malformed"),
        ("n,,|auth=Bearer ==||", "Malformed"),
        ("n,,|auth=Bearer a=b||", "Malformed"),
        ("n,,|auth=Basic abc||", "Malformed"),
        ("n,,|auth=Bearerabc||", "Malformed"),
        ("n,,|auth=|auth=||", "Malformed"),
        ("n,,|auth=|", "Malformed"),
        ("n,,|auth=", "Malformed"),
        ("n,,||", "Malformed"),
        ("n,,|host=x||", "Malformed"),
        ("n,,|=x||", "Malformed"),
        ("n,,|auth||", "Malformed"),
        ("n,,auth=||", "Malformed"),
        ("n,", "Malformed"),
        ("", "Malformed"),
        ("n,a=other,|auth=||", "AuthorizationIdentity"),
        ("p=tls-server-end-point,,|auth=||", "Binding"),
        ("n,,|auth=Bearer \u{e9}||", "Malformed"),
    ] {
        assert_eq!(read(message), expected, "{message}");
    }
    let long = format!("n,,|auth=Bearer {}||", "a".repeat(BEARER_BYTES_MAX));
    assert_eq!(read(&long), "Malformed");
    assert!(is_acknowledged(b"\x01") && !is_acknowledged(b"") && !is_acknowledged(b"\x01\x01"));
    let told: Value = serde_json::from_str(&challenge("https://id.example/", "openid", None)).unwrap();
    assert_eq!(told["openid-configuration"], "https://id.example/.well-known/openid-configuration");
}

#[test]
fn what_is_offered_follows_rules_and_what_the_client_asks_for() {
    let rule = |user: Option<&str>, server: Option<&str>, offer| OfferRule {
        user: user.map(str::to_owned),
        server_name: server.map(str::to_owned),
        offer: Some(offer),
        ..OfferRule::default()
    };
    let rules = vec![
        rule(Some("mcp-*"), None, Offer::Scram),
        rule(None, Some("oauth.*"), Offer::Bearer),
        rule(Some("*@*.example"), Some("*"), Offer::Password),
    ];
    let offers = Offers { rules, otherwise: Offer::Auto };
    let choose = |user, server_name, options| offers.choose(&Caller { user, database: "clinic", server_name, options }).0;
    assert_eq!(choose("mcp-agent", "oauth.x", ""), Offer::Scram);
    assert_eq!(choose("carla", "oauth.x", ""), Offer::Bearer);
    assert_eq!(choose("carla", "pg.x", ""), Offer::Auto);
    assert_eq!(choose("carla@x.example", "pg.x", ""), Offer::Password);
    assert_eq!(choose("carla@x.example.org", "pg.x", ""), Offer::Auto);
    assert_eq!(choose("carla", "pg.x", "-c pgveil.login=oauthbearer -c x=y"), Offer::Bearer);
    assert_eq!(choose("carla", "oauth.x", "-c pgveil.login=password"), Offer::Password);
    assert_eq!(choose("carla", "pg.x", "-c pgveil.login="), Offer::Auto);
    assert_eq!(choose("carla", "pg.x", "-c pgveil.login=nonsense"), Offer::Auto);
}

#[test]
fn tokens_are_told_from_passwords() {
    assert!(is_token(token(&json!({"alg": "ES256"}), &good()).as_bytes()));
    for password in ["", "ey", "hunter2", "eyes.on.the prize", "a.b.c", "eyJh"] {
        assert!(!is_token(password.as_bytes()), "{password}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_taken_calmly_as_token_or_bearer(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Token::read(&bytes);
        let _ = Bearer::read(&bytes);
        let _ = Bearer::read(&[b"n,,\x01auth=", bytes.as_slice(), b"\x01\x01"].concat());
    }

    #[test]
    fn any_claims_are_taken_calmly(name in "(aud|exp|nbf|iat|sub|groups|act|amr|acr|azp|iss|_claim_names|hasgroups|email|nonce)", text in "(null|[0-9eE.-]{1,12}|\"[^\"\\\\]{0,20}\"|\\[(1|\"a\"|null)?\\]|\\{(\"sub\":(1|\"a\"))?\\})") {
        let Ok(value) = serde_json::from_str::<Value>(&text) else { return Ok(()) };
        let mut claims = good();
        claims[&name] = value;
        let assurance = Assurance { groups: vec!["clinicians".into()], amr: vec!["mfa".into()], acr: vec!["a".into()] };
        let _ = judge(&Rules { assurance: vec![assurance], ..rules() }, &claims);
    }

    #[test]
    fn no_change_of_one_byte_of_a_token_is_read_as_the_same(at in 0usize..300, change in 1u8..255) {
        let text = token(&json!({"alg": "ES256", "kid": "k"}), &good());
        let mut bytes = text.clone().into_bytes();
        let at = at % bytes.len();
        bytes[at] ^= change;
        if let Ok(read) = Token::read(&bytes) {
            let mut same = false;
            let _ = read.verified(|signed, signature| {
                let (before, mark) = text.rsplit_once('.').unwrap();
                same = signed == before.as_bytes() && signature == URL_SAFE_NO_PAD.decode(mark).unwrap();
                false
            });
            prop_assert!(!same);
        }
    }
}
