use jiff::Timestamp;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use proptest::prelude::*;

use super::*;
use crate::secret::Secret;

const DICE: [u8; NONCE_BYTES] = *b"eighteen dice here";
const RFC_CLIENT_FIRST: &[u8] = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const RFC_SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const RFC_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const RFC_CLIENT_FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                                p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const RFC_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
const RFC_SALT: &[u8] = &[0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e, 0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81];
/// The password `pencil` with the salt of the example, in the form of `pg_authid.rolpassword`.
const FROM_POSTGRESQL: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:\
                               wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

fn verifier(password: &str) -> Verifier {
    Verifier::make(password.as_bytes(), b"sixteen bytes of", ITERATIONS_MIN).unwrap()
}

fn rfc() -> ExpectProof {
    let pencil = Verifier::make(b"pencil", RFC_SALT, 4096).unwrap();
    let begun = ExpectProof::begin_with(Mechanism::ScramSha256, RFC_CLIENT_FIRST, pencil, RFC_SERVER_NONCE, &Channel::Clear);
    let (exchange, server_first) = begun.unwrap();
    assert_eq!(server_first, RFC_FIRST);
    exchange
}

/// Plays postgres-protocol's client against our server.
fn play(
    password: &str,
    known: Verifier,
    binding: ChannelBinding,
    picked: Mechanism,
    channel: &Channel,
) -> Result<(), ScramFault> {
    let mut client = ScramSha256::new(password.as_bytes(), binding);
    let (server, server_first) = ExpectProof::begin(picked, client.message(), known, DICE, channel)?;
    client.update(server_first.as_bytes()).unwrap();
    let server_final = server.finish(client.message())?;
    client.finish(server_final.as_bytes()).expect("the client believes the server");
    Ok(())
}

#[test]
fn a_former_password_serves_beside_its_successor_until_its_end() {
    let (old, other) = (verifier("old"), Verifier::make(b"old", b"another salt....", ITERATIONS_MIN).unwrap());
    let new = old.successor(b"new").unwrap();
    assert!(new.is_kin(&old) && !new.is_kin(&other) && new.successor(b"").is_err());
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let credential = |verifier: &Verifier, expires: &str| Credential {
        name: "agent".into(),
        groups: vec!["agents".into()],
        verifier: verifier.clone(),
        expires: Some(at(expires)),
    };
    let roster = |former: &Verifier| {
        let roster = Roster::new(vec![credential(&new, "2026-03-01T00:00:00Z")], Secret::new(b"k".to_vec())).unwrap();
        roster.with_former(vec![credential(former, "2026-02-01T00:00:00Z")])
    };
    let admit = |former: &Verifier, password: &str, now: &str| {
        roster(former).admit(b"agent", password.as_bytes(), at(now)).map(|c| c.expires.unwrap().to_string())
    };
    let (before, between) = ("2026-01-15T00:00:00Z", "2026-02-15T00:00:00Z");
    assert_eq!(admit(&old, "new", before).unwrap(), "2026-03-01T00:00:00Z");
    assert_eq!(admit(&old, "old", before).unwrap(), "2026-02-01T00:00:00Z", "each has its own end");
    assert_eq!(admit(&old, "new", between).unwrap(), "2026-03-01T00:00:00Z");
    assert!(matches!(admit(&old, "old", between), Err(Denied::Expired { .. })));
    for wrong in ["", "older", "wrong"] {
        assert_eq!(admit(&old, wrong, before), Err(Denied::WrongPassword), "{wrong}");
    }
    assert_eq!(admit(&other, "old", before), Err(Denied::WrongPassword), "one of another salt serves nobody");
    // A SCRAM exchange begins before it is known which password comes.
    for (password, by_new, by_old) in [("new", true, false), ("old", false, true), ("wrong", false, false)] {
        let mut client = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
        let begun = ExpectProof::begin(Mechanism::ScramSha256, client.message(), new.clone(), DICE, &Channel::Clear);
        let (server, server_first) = begun.unwrap();
        client.update(server_first.as_bytes()).unwrap();
        let (first, second) = (server.finish(client.message()), server.finish_by(&old, client.message()));
        assert_eq!((first.is_ok(), second.is_ok()), (by_new, by_old), "{password}");
        if let Ok(server_final) = first.or(second) {
            client.finish(server_final.as_bytes()).expect("the client believes the server");
        }
    }
}

#[test]
fn rfc_7677_example_is_answered_as_written() {
    assert_eq!(rfc().finish(RFC_CLIENT_FINAL.as_bytes()).unwrap(), RFC_FINAL);
}

#[test]
fn verifier_text_is_that_of_postgresql() {
    let made = Verifier::make(b"pencil", RFC_SALT, 4096).unwrap();
    assert_eq!(made.to_text(), FROM_POSTGRESQL);
    assert_eq!(FROM_POSTGRESQL.parse::<Verifier>().unwrap(), made);
    assert!(made.fits(b"pencil") && !made.fits(b"Pencil") && !made.fits(b""));
    assert!(!format!("{made:?}").contains("WG5d8"));
}

#[test]
fn broken_verifiers_are_refused_by_name() {
    let cases = [
        ("", VerifierFault::Form),
        ("md5abcdef", VerifierFault::Form),
        ("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==", VerifierFault::Form),
        ("SCRAM-SHA-256$4095:AAAA$AAAA:AAAA", VerifierFault::Iterations),
        ("SCRAM-SHA-256$100001:AAAA$AAAA:AAAA", VerifierFault::Iterations),
        ("SCRAM-SHA-256$-1:AAAA$AAAA:AAAA", VerifierFault::Iterations),
        ("SCRAM-SHA-256$4096:$AAAA:AAAA", VerifierFault::Salt),
        ("SCRAM-SHA-256$4096:!!$AAAA:AAAA", VerifierFault::Salt),
        ("SCRAM-SHA-256$4096:AAAA$AAAA:AAAA", VerifierFault::Key),
        ("SCRAM-SHA-256$4096:AAAA$AAAA:AAAA$", VerifierFault::Form),
    ];
    for (text, fault) in cases {
        assert_eq!(text.parse::<Verifier>().unwrap_err(), fault, "{text}");
    }
    let long = format!("SCRAM-SHA-256$4096:{}$A:A", "A".repeat(600));
    assert_eq!(long.parse::<Verifier>().unwrap_err(), VerifierFault::Form);
    assert_eq!(Verifier::make(b"", RFC_SALT, 4096).unwrap_err(), VerifierFault::Password);
    assert_eq!(Verifier::make(b"x", b"", 4096).unwrap_err(), VerifierFault::Salt);
}

#[test]
fn passwords_are_prepared_as_the_client_prepares_them() {
    // A soft hyphen vanishes, a non-ASCII space becomes one, compatibility characters are normalized.
    for (known, given) in [("I\u{ad}X", "IX"), ("a\u{a0}b", "a b"), ("\u{2168}", "IX"), ("tab\there", "tab\there")] {
        assert!(verifier(known).fits(given.as_bytes()), "{known:?}");
        assert_eq!(play(given, verifier(known), ChannelBinding::unsupported(), Mechanism::ScramSha256, &Channel::Clear), Ok(()));
    }
    let raw = Verifier::make(b"\xff\xfe", RFC_SALT, 4096).unwrap();
    assert!(raw.fits(b"\xff\xfe") && !raw.fits(b"\xff"));
}

#[test]
fn a_common_client_gets_in_with_and_without_binding() {
    let bound = Channel::Bound(b"hash of our certificate".to_vec());
    let data = || ChannelBinding::tls_server_end_point(b"hash of our certificate".to_vec());
    let other = || ChannelBinding::tls_server_end_point(b"hash of another certificate".to_vec());
    let (plain, plus) = (Mechanism::ScramSha256, Mechanism::ScramSha256Plus);
    let cases = [
        ("right", ChannelBinding::unsupported(), plain, &Channel::Clear, Ok(())),
        ("right", ChannelBinding::unsupported(), plain, &bound, Ok(())),
        ("right", ChannelBinding::unrequested(), plain, &Channel::Tls, Ok(())),
        ("right", data(), plus, &bound, Ok(())),
        ("wrong", data(), plus, &bound, Err(ScramFault::Proof)),
        ("wrong", ChannelBinding::unsupported(), plain, &Channel::Clear, Err(ScramFault::Proof)),
        // Somebody in the middle with another certificate, or who has cut the list of mechanisms.
        ("right", other(), plus, &bound, Err(ScramFault::Binding)),
        ("right", ChannelBinding::unrequested(), plain, &bound, Err(ScramFault::Downgrade)),
        // Header and mechanism do not fit.
        ("right", data(), plain, &bound, Err(ScramFault::Malformed)),
        ("right", ChannelBinding::unsupported(), plus, &bound, Err(ScramFault::Malformed)),
        ("right", data(), plus, &Channel::Clear, Err(ScramFault::Malformed)),
    ];
    for (index, (password, binding, picked, channel, expected)) in cases.into_iter().enumerate() {
        assert_eq!(play(password, verifier("right"), binding, picked, channel), expected, "case {index}");
    }
}

#[test]
fn first_messages_are_judged_as_postgresql_judges_them() {
    let bound = Channel::Bound(vec![1]);
    let cases: [(&[u8], Mechanism, &Channel, ScramFault); 15] = [
        (b"", Mechanism::ScramSha256, &Channel::Clear, ScramFault::Malformed),
        (b"n", Mechanism::ScramSha256, &Channel::Clear, ScramFault::Malformed),
        (b"n,", Mechanism::ScramSha256, &Channel::Clear, ScramFault::Malformed),
        (b"nn,,n=,r=abc", Mechanism::ScramSha256, &Channel::Clear, ScramFault::Malformed),
        (b"x,,n=,r=abc", Mechanism::ScramSha256, &Channel::Clear, ScramFault::Malformed),
        (b"n,a=other,n=,r=abc", Mechanism::ScramSha256, &Channel::Clear, ScramFault::AuthorizationIdentity),
        (b"n,,m=ext,n=,r=abc", Mechanism::ScramSha256, &Channel::Clear, ScramFault::Extension),
        (b"n,,r=abc", Mechanism::ScramSha256, &Channel::Clear, ScramFault::Malformed),
        (b"n,,n=,r=", Mechanism::ScramSha256, &Channel::Clear, ScramFault::Malformed),
        (b"n,,n=,r=a b", Mechanism::ScramSha256, &Channel::Clear, ScramFault::Malformed),
        (b"n,,n=,r=abc,", Mechanism::ScramSha256, &Channel::Clear, ScramFault::Malformed),
        (b"n,,n=,r=abc,1=x", Mechanism::ScramSha256, &Channel::Clear, ScramFault::Malformed),
        (b"n,,n=,r=\xff", Mechanism::ScramSha256, &Channel::Clear, ScramFault::Malformed),
        (b"p=tls-unique,,n=,r=abc", Mechanism::ScramSha256Plus, &bound, ScramFault::BindingType),
        (b"p=tls-server-end-point,,n=,r=a\0", Mechanism::ScramSha256Plus, &bound, ScramFault::Malformed),
    ];
    for (message, mechanism, channel, fault) in cases {
        let begun = ExpectProof::begin(mechanism, message, verifier("p"), DICE, channel);
        assert_eq!(begun.map(|_| ()), Err(fault), "{}", message.escape_ascii());
    }
    let extended = ExpectProof::begin(Mechanism::ScramSha256, b"n,,n=,r=abc,x=1", verifier("p"), DICE, &Channel::Clear);
    assert!(extended.is_ok(), "extensions are ignored");
    let long = [b"n,,n=,r=".as_slice(), &[b'a'; 5000]].concat();
    assert!(ExpectProof::begin(Mechanism::ScramSha256, &long, verifier("p"), DICE, &Channel::Clear).is_err());
}

#[test]
fn every_change_of_one_byte_of_the_proof_message_is_refused() {
    for place in 0..RFC_CLIENT_FINAL.len() {
        for change in [1, 0x20] {
            let mut message = RFC_CLIENT_FINAL.as_bytes().to_vec();
            message[place] ^= change;
            assert!(rfc().finish(&message).is_err(), "byte {place}");
        }
        assert!(rfc().finish(&RFC_CLIENT_FINAL.as_bytes()[..place]).is_err(), "cut at {place}");
    }
    let replayed = RFC_CLIENT_FINAL.replace("rOprNGfwEbeRWgbNEkqO%", "rOprNGfwEbeRWgbNEkqO&");
    assert_eq!(rfc().finish(replayed.as_bytes()), Err(ScramFault::Nonce));
    assert_eq!(rfc().finish(RFC_CLIENT_FINAL.replace("biws", "eSws").as_bytes()), Err(ScramFault::Binding));
}

fn roster() -> Roster {
    let credential = |name: &str, expires: Option<&str>| Credential {
        name: name.to_owned(),
        groups: vec!["agents".to_owned()],
        verifier: verifier("right"),
        expires: expires.map(|expires| expires.parse().unwrap()),
    };
    let list = vec![credential("agent", None), credential("late", Some("2026-01-01T00:00:00Z"))];
    Roster::new(list, Secret::new(b"key of this deployment".to_vec())).unwrap()
}

#[test]
fn roster_lets_in_who_is_there_and_in_time() {
    let roster = roster();
    let (before, after) = ("2025-12-31T23:59:59Z".parse().unwrap(), "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap());
    let admit = |name: &str, password: &str, now| roster.admit(name.as_bytes(), password.as_bytes(), now).map(|c| c.name.clone());
    assert_eq!(admit("agent", "right", after), Ok("agent".to_owned()));
    assert_eq!(admit("agent", "wrong", after), Err(Denied::WrongPassword));
    assert_eq!(admit("agent", "", after), Err(Denied::WrongPassword));
    assert_eq!(admit("nobody", "right", after), Err(Denied::Unknown));
    assert_eq!(admit("late", "right", before), Ok("late".to_owned()));
    assert_eq!(admit("late", "right", after), Err(Denied::Expired { expired: after }));
    assert_eq!(admit("late", "wrong", after), Err(Denied::WrongPassword));
    let twice = roster.iter().map(|credential| (**credential).clone()).chain(roster.find(b"late").map(|c| (**c).clone()));
    assert!(matches!(Roster::new(twice.collect(), Secret::new(vec![])), Err(RosterFault::Twice(name)) if name == "late"));
}

#[test]
fn an_unknown_identity_looks_like_a_known_one() {
    let roster = roster();
    let (known, unknown) = (roster.verifier(b"agent"), roster.verifier(b"nobody"));
    assert_eq!(known.iterations(), unknown.iterations());
    assert_eq!(known.salt_base64().len(), unknown.salt_base64().len());
    assert_eq!(unknown, roster.verifier(b"nobody"), "the same salt every time");
    assert_ne!(unknown.salt_base64(), roster.verifier(b"somebody").salt_base64());
    let tried = play("right", unknown, ChannelBinding::unsupported(), Mechanism::ScramSha256, &Channel::Clear);
    assert_eq!(tried, Err(ScramFault::Proof));
    assert_eq!(roster.find(b"\xff"), None.as_ref());
}

impl PartialEq for Credential {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

#[test]
fn certificate_hash_follows_the_signature() {
    let certificate = |algorithm| {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        rcgen::CertificateParams::new(vec!["db".to_owned()]).unwrap().self_signed(&key).unwrap().der().to_vec()
    };
    assert_eq!(end_point(&certificate(&rcgen::PKCS_ECDSA_P256_SHA256)).unwrap().len(), 32);
    assert_eq!(end_point(&certificate(&rcgen::PKCS_ECDSA_P384_SHA384)).unwrap().len(), 48);
    assert_eq!(end_point(&certificate(&rcgen::PKCS_ED25519)), None);
    let whole = certificate(&rcgen::PKCS_ECDSA_P256_SHA256);
    for cut in 0..whole.len() - 80 {
        let _ = end_point(&whole[..cut]);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_taken_calmly(message in prop::collection::vec(any::<u8>(), 0..200)) {
        let bound = Channel::Bound(vec![1, 2, 3]);
        for (mechanism, channel) in [(Mechanism::ScramSha256, &Channel::Clear), (Mechanism::ScramSha256Plus, &bound)] {
            let _ = ExpectProof::begin(mechanism, &message, FROM_POSTGRESQL.parse().unwrap(), DICE, channel);
        }
        let _ = end_point(&message);
        let _ = String::from_utf8_lossy(&message).parse::<Verifier>();
    }

    #[test]
    fn any_attributes_are_taken_calmly(message in "(n|y|p=tls-server-end-point|p=x)?,?(a=b)?,(m=1,)?(n=[a-z]*,)?(r=[!-~]{0,8})?(,[a-z]=[a-z]*){0,3}") {
        let bound = Channel::Bound(vec![1, 2, 3]);
        for channel in [&Channel::Clear, &Channel::Tls, &bound] {
            for mechanism in [Mechanism::ScramSha256, Mechanism::ScramSha256Plus] {
                let known = FROM_POSTGRESQL.parse().unwrap();
                if let Ok((server, _)) = ExpectProof::begin(mechanism, message.as_bytes(), known, DICE, channel) {
                    prop_assert!(server.finish(message.as_bytes()).is_err());
                }
            }
        }
    }

    #[test]
    fn verifier_text_reads_back(salt in prop::collection::vec(any::<u8>(), 1..=64), password in prop::collection::vec(any::<u8>(), 1..40)) {
        let made = Verifier::make(&password, &salt, ITERATIONS_MIN).unwrap();
        prop_assert_eq!(made.to_text().parse::<Verifier>().unwrap(), made);
    }
}
