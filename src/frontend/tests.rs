#![allow(clippy::cast_possible_truncation, reason = "messages of tests are short")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use proptest::prelude::*;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::*;
use crate::identity::{Credential, Denied, ITERATIONS_MIN, NONCE_BYTES, Offers, Roster, ScramFault, Verifier, end_point};
use crate::secret::Secret;
use crate::wire::{
    self, AuthenticationRequest, CancelKey, ErrorFields, Frame, NegotiateProtocolVersion, VERSION_3_0, VERSION_3_2,
    cancel_request, password, sasl_initial_response, ssl_request, startup_message,
};

const DICE: [u8; NONCE_BYTES] = *b"eighteen dice here";
const GSSENC_REQUEST: &[u8] = &[0, 0, 0, 8, 4, 210, 22, 48];

type Outcome = Result<Result<Session, LoginRefused>, Result<CancelKey, Refusal>>;

struct Stand {
    address: SocketAddr,
    certificate: CertificateDer<'static>,
    guard: Arc<Strict>,
    served: JoinHandle<Outcome>,
}

fn roster() -> Roster {
    let credential = |name: &str, expires: Option<&str>| Credential {
        name: name.to_owned(),
        groups: vec![],
        verifier: Verifier::make(b"right", b"sixteen bytes of", ITERATIONS_MIN).unwrap(),
        expires: expires.map(|expires| expires.parse().unwrap()),
    };
    let list = vec![credential("agent", None), credential("late", Some("2026-01-01T00:00:00Z"))];
    Roster::new(list, Secret::new(b"key".to_vec())).unwrap()
}

fn certificate() -> (CertificateDer<'static>, ServerTls) {
    let made = rcgen::generate_simple_self_signed(vec!["pgveil.test".to_owned()]).unwrap();
    let tls = ServerTls::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes(), None).unwrap();
    (made.cert.der().clone(), tls)
}

/// Bars after three wrong proofs.
#[derive(Default)]
struct Strict(AtomicU32);

impl Guard for Strict {
    fn is_barred(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= 3
    }

    fn failed(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Serves one connection.
async fn stand(with_tls: bool, change: impl FnOnce(&mut Acceptor)) -> Stand {
    stand_of(0, with_tls, change).await
}

/// The same where the databases speak this minor version.
async fn stand_of(minor_max: u16, with_tls: bool, change: impl FnOnce(&mut Acceptor)) -> Stand {
    let (certificate, tls) = certificate();
    let mut acceptor = Acceptor { tls: with_tls.then_some(tls), plaintext: true, login_time_max: Duration::from_secs(20) };
    change(&mut acceptor);
    let (roster, offers) = (Arc::new(roster()), Offers::default());
    let doors = Doors { roster, tokens: None, offers, clear_on_loopback: false };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let guard = Arc::<Strict>::default();
    let counts = Arc::clone(&guard);
    let served = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        match accept(Stream::Clear(tcp), &acceptor).await.map_err(Err)? {
            Opening::Cancel { key, .. } => Err(Ok(key)),
            Opening::Session(request) => {
                let handshake = request.agree(minor_max).await.map_err(Err)?;
                let now = "2026-06-01T00:00:00Z".parse::<Timestamp>().unwrap();
                Ok(login(handshake, &doors, &*counts, now, DICE).await)
            }
        }
    });
    Stand { address, certificate, guard, served }
}

impl Stand {
    async fn dial(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn refusal(self) -> Refusal {
        match self.served.await.unwrap() {
            Err(Err(refusal)) => refusal,
            Ok(Err(LoginRefused { why, .. })) => why,
            other => panic!("not refused: {other:?}"),
        }
    }

    async fn session(self) -> Session {
        self.served.await.unwrap().expect("opened").expect("let in")
    }

    fn connector(&self, alpn: &[&[u8]]) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }

    async fn tls(&self, tcp: TcpStream, alpn: &[&[u8]]) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        self.connector(alpn).connect(ServerName::try_from("pgveil.test").unwrap(), tcp).await
    }
}

fn startup(user: &str) -> Bytes {
    startup_message(VERSION_3_0, &[(b"user", user.as_bytes()), (b"database", b"clinic")]).unwrap()
}

async fn frame(stream: &mut (impl AsyncRead + Unpin)) -> Frame {
    let mut header = [0; 5];
    stream.read_exact(&mut header).await.unwrap();
    let mut body = vec![0; u32::from_be_bytes(header[1..].try_into().unwrap()) as usize - 4];
    stream.read_exact(&mut body).await.unwrap();
    Frame::new([&header[..], &body].concat().into()).unwrap()
}

async fn request(stream: &mut (impl AsyncRead + Unpin)) -> AuthenticationRequest {
    AuthenticationRequest::read(&frame(stream).await).unwrap()
}

/// SQLSTATE and message of an ErrorResponse that is FATAL and the last thing said.
async fn last_error(stream: &mut (impl AsyncRead + Unpin)) -> (String, String) {
    let error = frame(stream).await;
    let field = |kind| String::from_utf8(ErrorFields::find(&error, kind).unwrap().to_vec()).unwrap();
    assert_eq!((error.tag(), field(b'S'), field(b'V')), (b'E', "FATAL".to_owned(), "FATAL".to_owned()));
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "closed behind the error");
    (field(b'C'), field(b'M'))
}

/// Logs in up to what the server says to the proof.
async fn prove(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), mechanism: &str, binding: ChannelBinding, secret: &str) {
    let mut client = ScramSha256::new(secret.as_bytes(), binding);
    stream.write_all(&sasl_initial_response(mechanism, client.message())).await.unwrap();
    let AuthenticationRequest::SaslContinue(first) = request(stream).await else { panic!("no continue") };
    client.update(&first).unwrap();
    stream.write_all(&password(client.message())).await.unwrap();
    if secret == "right" {
        let AuthenticationRequest::SaslFinal(last) = request(stream).await else { panic!("no final") };
        client.finish(&last).unwrap();
    }
}

async fn offered(stream: &mut (impl AsyncRead + Unpin)) -> Vec<Bytes> {
    let AuthenticationRequest::Sasl { mechanisms } = request(stream).await else { panic!("no offer") };
    mechanisms
}

#[tokio::test]
async fn a_client_in_clear_gets_in() {
    let stand = stand(false, |_| {}).await;
    let mut tcp = stand.dial().await;
    for ask in [GSSENC_REQUEST, &ssl_request()] {
        tcp.write_all(ask).await.unwrap();
        assert_eq!(tcp.read_u8().await.unwrap(), b'N');
    }
    tcp.write_all(&startup("agent")).await.unwrap();
    assert_eq!(offered(&mut tcp).await, ["SCRAM-SHA-256"]);
    prove(&mut tcp, "SCRAM-SHA-256", ChannelBinding::unsupported(), "right").await;
    let session = stand.session().await;
    assert_eq!((session.identity.name.as_str(), session.database()), ("agent", b"clinic".as_slice()));
    assert!(session.leftover.is_empty() && !session.stream.is_tls());
}

#[tokio::test]
async fn a_client_by_tls_gets_in_bound_to_the_certificate() {
    for (direct, gss_first) in [(false, false), (false, true), (true, false)] {
        let stand = stand(true, |acceptor| acceptor.plaintext = false).await;
        let mut tcp = stand.dial().await;
        if gss_first {
            tcp.write_all(GSSENC_REQUEST).await.unwrap();
            assert_eq!(tcp.read_u8().await.unwrap(), b'N');
        }
        if !direct {
            tcp.write_all(&ssl_request()).await.unwrap();
            assert_eq!(tcp.read_u8().await.unwrap(), b'S');
        }
        let mut tls = stand.tls(tcp, if direct { &[b"postgresql"] } else { &[] }).await.unwrap();
        tls.write_all(&startup("agent")).await.unwrap();
        assert_eq!(offered(&mut tls).await, ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]);
        let binding = ChannelBinding::tls_server_end_point(end_point(&stand.certificate).unwrap());
        prove(&mut tls, "SCRAM-SHA-256-PLUS", binding, "right").await;
        assert!(stand.session().await.stream.is_tls());
    }
}

#[tokio::test]
async fn a_downgraded_client_is_refused() {
    let stand = stand(true, |_| {}).await;
    let mut tcp = stand.dial().await;
    tcp.write_all(&ssl_request()).await.unwrap();
    assert_eq!(tcp.read_u8().await.unwrap(), b'S');
    let mut tls = stand.tls(tcp, &[]).await.unwrap();
    tls.write_all(&startup("agent")).await.unwrap();
    offered(&mut tls).await;
    tls.write_all(&sasl_initial_response("SCRAM-SHA-256", b"y,,n=,r=abc")).await.unwrap();
    assert_eq!(last_error(&mut tls).await, ("28000".to_owned(), "SCRAM channel binding negotiation error".to_owned()));
    assert!(matches!(stand.refusal().await, Refusal::Scram(ScramFault::Downgrade)));
}

#[tokio::test]
async fn wrong_unknown_and_expired_are_told_apart_in_the_log_only() {
    for (user, secret, denied) in [("agent", "wrong", Denied::WrongPassword), ("nobody", "wrong", Denied::Unknown)] {
        let stand = stand(false, |_| {}).await;
        let mut tcp = stand.dial().await;
        tcp.write_all(&startup(user)).await.unwrap();
        offered(&mut tcp).await;
        prove(&mut tcp, "SCRAM-SHA-256", ChannelBinding::unsupported(), secret).await;
        let said = format!("password authentication failed for user \"{user}\"");
        assert_eq!(last_error(&mut tcp).await, ("28P01".to_owned(), said));
        assert!(matches!(stand.refusal().await, Refusal::Denied(why) if why == denied));
    }
    for secret in ["right", "wrong"] {
        let stand = stand(false, |_| {}).await;
        let mut tcp = stand.dial().await;
        tcp.write_all(&startup("late")).await.unwrap();
        offered(&mut tcp).await;
        prove(&mut tcp, "SCRAM-SHA-256", ChannelBinding::unsupported(), secret).await;
        let (sqlstate, said) = last_error(&mut tcp).await;
        assert_eq!(sqlstate, "28P01");
        assert_eq!(said.contains("expired at 2026-01-01T00:00:00Z"), secret == "right", "{said}");
    }
}

#[tokio::test]
async fn wrong_proofs_are_counted_and_none_is_looked_at_past_the_bound() {
    for (user, secret, counted) in [("agent", "wrong", 1), ("nobody", "wrong", 1), ("agent", "right", 0), ("late", "right", 0)] {
        let stand = stand(false, |_| {}).await;
        let mut tcp = stand.dial().await;
        tcp.write_all(&startup(user)).await.unwrap();
        offered(&mut tcp).await;
        prove(&mut tcp, "SCRAM-SHA-256", ChannelBinding::unsupported(), secret).await;
        if secret == "wrong" {
            last_error(&mut tcp).await;
        }
        assert_eq!(stand.guard.0.load(Ordering::Relaxed), counted, "{user} {secret}");
    }
    let barred = ("28000".to_owned(), "too many failed logins: wait a minute, then try again".to_owned());
    for failed_amid in [false, true] {
        let stand = stand(false, |_| {}).await;
        let mut tcp = stand.dial().await;
        if !failed_amid {
            stand.guard.0.store(3, Ordering::Relaxed);
        }
        tcp.write_all(&startup("agent")).await.unwrap();
        if failed_amid {
            offered(&mut tcp).await;
            let mut client = ScramSha256::new(b"right", ChannelBinding::unsupported());
            tcp.write_all(&sasl_initial_response("SCRAM-SHA-256", client.message())).await.unwrap();
            let AuthenticationRequest::SaslContinue(first) = request(&mut tcp).await else { panic!("no continue") };
            client.update(&first).unwrap();
            stand.guard.0.store(3, Ordering::Relaxed);
            tcp.write_all(&password(client.message())).await.unwrap();
        }
        assert_eq!(last_error(&mut tcp).await, barred);
        assert!(matches!(stand.refusal().await, Refusal::Throttled));
    }
}

#[tokio::test]
async fn startup_packets_that_are_refused_are_refused_before_any_secret() {
    let with = |name: &str, value: &str| {
        startup_message(VERSION_3_0, &[(b"user", b"agent"), (name.as_bytes(), value.as_bytes())]).unwrap()
    };
    let mut cases = vec![
        (startup_message(VERSION_3_0, &[(b"database", b"x")]).unwrap(), false, "28000", "no PostgreSQL user name"),
        (startup_message(4 << 16, &[]).unwrap(), false, "0A000", "unsupported frontend protocol 4.0"),
        (Bytes::from_static(b"\0\0\0\x0c\0\x03\0\0user"), false, "08P01", "invalid startup packet layout"),
        (startup("agent"), true, "28000", "requires TLS"),
    ];
    cases.extend(
        ["true", "database", "on", "1", "", "o", "perhaps"]
            .map(|value| (with("replication", value), false, "0A000", "replication")),
    );
    for (packet, needs_tls, sqlstate, words) in cases {
        let stand = stand(false, |acceptor| acceptor.plaintext = !needs_tls).await;
        let mut tcp = stand.dial().await;
        tcp.write_all(&packet).await.unwrap();
        let (code, said) = last_error(&mut tcp).await;
        assert!(code == sqlstate && said.contains(words), "{code} {said}");
        stand.refusal().await;
    }
    for value in ["false", "OFF", "no", "0", "f", "of"] {
        let stand = stand(false, |_| {}).await;
        let mut tcp = stand.dial().await;
        tcp.write_all(&with("replication", value)).await.unwrap();
        offered(&mut tcp).await;
    }
}

#[tokio::test]
async fn protocol_2_is_refused_in_its_own_form() {
    let stand = stand(false, |_| {}).await;
    let mut tcp = stand.dial().await;
    tcp.write_all(&[0, 0, 0, 8, 0, 2, 0, 0]).await.unwrap();
    let mut said = String::new();
    tcp.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "EFATAL:  unsupported frontend protocol 2.0: server supports 3.0 to 3.0\n\0");
    assert!(matches!(stand.refusal().await, Refusal::Version(0x20000)));
}

#[tokio::test]
async fn versions_and_options_are_negotiated_down() {
    let options: &[(&[u8], &[u8])] = &[(b"user", b"agent"), (b"_pq_.what", b"1"), (b"geqo", b"off")];
    let cases = [
        (VERSION_3_2, &options[..1], 0, Some((VERSION_3_0, 0)), VERSION_3_0),
        (VERSION_3_2, &options[..1], 2, None, VERSION_3_2),
        (VERSION_3_0, options, 0, Some((VERSION_3_0, 1)), VERSION_3_0),
        (VERSION_3_2 + 7, options, 2, Some((VERSION_3_2, 1)), VERSION_3_2),
        (VERSION_3_0, &options[..1], 2, None, VERSION_3_0),
    ];
    for (version, parameters, minor_max, answer, agreed) in cases {
        let stand = stand_of(minor_max, false, |_| {}).await;
        let mut tcp = stand.dial().await;
        tcp.write_all(&startup_message(version, parameters).unwrap()).await.unwrap();
        if let Some((version, count)) = answer {
            let said = NegotiateProtocolVersion::read(&frame(&mut tcp).await).unwrap();
            assert_eq!((said.version, said.options.len()), (version, count));
        }
        offered(&mut tcp).await;
        prove(&mut tcp, "SCRAM-SHA-256", ChannelBinding::unsupported(), "right").await;
        let session = stand.session().await;
        assert_eq!(session.startup.version, agreed);
        assert!(session.startup.parameter("_pq_.what").is_none());
        assert_eq!(session.startup.parameter("geqo").is_some(), parameters.len() == 3);
        assert_eq!(session.database(), b"agent", "the user's name if none is given");
    }
}

#[tokio::test]
async fn cancel_requests_are_handed_on() {
    let key = CancelKey { process: 4711, secret: Bytes::from_static(b"1234") };
    for with_tls in [false, true] {
        let stand = stand(with_tls, |acceptor| acceptor.plaintext = false).await;
        let mut tcp = stand.dial().await;
        if with_tls {
            tcp.write_all(&ssl_request()).await.unwrap();
            assert_eq!(tcp.read_u8().await.unwrap(), b'S');
            let mut tls = stand.tls(tcp, &[]).await.unwrap();
            tls.write_all(&cancel_request(&key)).await.unwrap();
            // The sender may hang up at once.
            drop(tls);
        } else {
            tcp.write_all(&cancel_request(&key)).await.unwrap();
            drop(tcp);
        }
        assert!(matches!(stand.served.await.unwrap(), Err(Ok(read)) if read == key));
    }
}

#[tokio::test]
async fn nothing_in_clear_gets_into_tls() {
    let stand = stand(true, |_| {}).await;
    let mut tcp = stand.dial().await;
    tcp.write_all(&[&ssl_request()[..], &startup("agent")].concat()).await.unwrap();
    let mut said = Vec::new();
    let _ = tcp.read_to_end(&mut said).await;
    assert!(said == b"S" || said.is_empty());
    assert!(matches!(stand.refusal().await, Refusal::BytesBeforeTls));
}

#[tokio::test]
async fn direct_tls_must_name_the_protocol() {
    let no_alpn = stand(true, |_| {}).await;
    let mut tls = no_alpn.tls(no_alpn.dial().await, &[]).await.unwrap();
    assert_eq!(tls.read(&mut [0]).await.unwrap_or(0), 0);
    assert!(matches!(no_alpn.refusal().await, Refusal::Alpn));
    let other = stand(true, |_| {}).await;
    assert!(other.tls(other.dial().await, &[b"h2"]).await.is_err());
    assert!(matches!(other.refusal().await, Refusal::Tls(_)));
    let none = stand(false, |_| {}).await;
    assert!(none.tls(none.dial().await, &[b"postgresql"]).await.is_err());
    assert!(matches!(none.refusal().await, Refusal::NoTls));
}

#[tokio::test]
async fn encryption_is_asked_for_once_each() {
    for (first, second) in [(ssl_request(), "1234.5679"), (Bytes::from_static(GSSENC_REQUEST), "1234.5680")] {
        let stand = stand(false, |_| {}).await;
        let mut tcp = stand.dial().await;
        tcp.write_all(&first).await.unwrap();
        assert_eq!(tcp.read_u8().await.unwrap(), b'N');
        tcp.write_all(&first).await.unwrap();
        let (sqlstate, said) = last_error(&mut tcp).await;
        assert!(sqlstate == "0A000" && said.contains(second), "{said}");
        // without waiting for the answer
        let stand = self::stand(false, |_| {}).await;
        let mut tcp = stand.dial().await;
        tcp.write_all(&[&first[..], &startup("agent")].concat()).await.unwrap();
        assert_eq!(tcp.read_u8().await.unwrap(), b'N');
        let (sqlstate, said) = last_error(&mut tcp).await;
        assert!(sqlstate == "08P01" && said.starts_with("received unencrypted data after"), "{said}");
    }
}

#[tokio::test]
async fn nonsense_ends_the_connection() {
    for nonsense in
        [b"GET / HTTP/1.1\r\n\r\n".as_slice(), &[0, 0, 0, 7, 0, 0, 0], &[0, 0, 0x27, 0x15, 0, 3, 0, 0], b"\xff\xff\xff\xff\0\0"]
    {
        let stand = stand(false, |_| {}).await;
        let mut tcp = stand.dial().await;
        tcp.write_all(nonsense).await.unwrap();
        let mut said = Vec::new();
        let _ = tcp.read_to_end(&mut said).await;
        assert_eq!(said, b"");
        assert!(matches!(stand.refusal().await, Refusal::StartupLength));
    }
    let gone = stand(false, |_| {}).await;
    drop(gone.dial().await);
    assert!(matches!(gone.refusal().await, Refusal::Gone));
}

#[tokio::test]
async fn messages_out_of_place_end_the_login() {
    let long = wire::password(&[b'x'; 10_000]);
    let cases: [(Bytes, &str); 6] = [
        (wire::query("select 1"), "expected SASL response"),
        (long, "invalid message length"),
        (Bytes::from_static(b"p\0\0\0\x03"), "invalid message length"),
        (wire::password(b"password\0"), "insufficient data left in message"),
        (sasl_initial_response("SCRAM-SHA-256-PLUS", b"n,,n=,r=abc"), "invalid SASL authentication mechanism"),
        (sasl_initial_response("SCRAM-SHA-256", b"x"), "malformed SCRAM message"),
    ];
    for (message, words) in cases {
        let stand = stand(false, |_| {}).await;
        let mut tcp = stand.dial().await;
        tcp.write_all(&startup("agent")).await.unwrap();
        offered(&mut tcp).await;
        tcp.write_all(&message).await.unwrap();
        let (sqlstate, said) = last_error(&mut tcp).await;
        assert!(sqlstate == "08P01" && said.contains(words), "{said}");
        stand.refusal().await;
    }
}

#[tokio::test]
async fn a_first_message_may_come_late_and_bytes_ahead_are_kept() {
    let stand = stand(false, |_| {}).await;
    let mut tcp = stand.dial().await;
    let mut client = ScramSha256::new(b"right", ChannelBinding::unsupported());
    let first = Bytes::from_static(b"p\0\0\0\x16SCRAM-SHA-256\0\xff\xff\xff\xff");
    tcp.write_all(&[&startup("agent")[..], &first].concat()).await.unwrap();
    offered(&mut tcp).await;
    assert!(matches!(request(&mut tcp).await, AuthenticationRequest::SaslContinue(empty) if empty.is_empty()));
    tcp.write_all(&password(client.message())).await.unwrap();
    let AuthenticationRequest::SaslContinue(first) = request(&mut tcp).await else { panic!("no continue") };
    client.update(&first).unwrap();
    let ahead = wire::query("select 1");
    tcp.write_all(&[&password(client.message())[..], &ahead].concat()).await.unwrap();
    assert!(matches!(request(&mut tcp).await, AuthenticationRequest::SaslFinal(_)));
    let mut session = stand.session().await;
    while session.leftover.len() < ahead.len() {
        session.stream.read_buf(&mut session.leftover).await.unwrap();
    }
    assert_eq!(session.leftover, ahead);
}

#[tokio::test]
async fn slow_clients_are_not_waited_for() {
    let silent = stand(false, |acceptor| acceptor.login_time_max = Duration::from_millis(50)).await;
    let tcp = silent.dial().await;
    assert!(matches!(silent.refusal().await, Refusal::SlowStartup));
    drop(tcp);
    let slow = stand(false, |acceptor| acceptor.login_time_max = Duration::from_millis(300)).await;
    let mut tcp = slow.dial().await;
    tcp.write_all(&startup("agent")).await.unwrap();
    offered(&mut tcp).await;
    assert_eq!(last_error(&mut tcp).await.0, "57014");
    assert!(matches!(slow.refusal().await, Refusal::SlowLogin));
}

#[test]
fn certificates_that_cannot_be_used_are_refused() {
    let (one, other) = (
        rcgen::generate_simple_self_signed(vec!["a".to_owned()]).unwrap(),
        rcgen::generate_simple_self_signed(vec!["a".to_owned()]).unwrap(),
    );
    let key = one.signing_key.serialize_pem();
    assert!(matches!(ServerTls::from_pem(b"", key.as_bytes(), None), Err(TlsFault::Certificate)));
    assert!(matches!(ServerTls::from_pem(one.cert.pem().as_bytes(), b"none", None), Err(TlsFault::Key)));
    assert!(matches!(ServerTls::from_pem(other.cert.pem().as_bytes(), key.as_bytes(), None), Err(TlsFault::Unusable(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_client_is_taken_calmly(
        said in prop::collection::vec(prop_oneof![
            2 => Just(ssl_request()),
            1 => Just(Bytes::from_static(GSSENC_REQUEST)),
            4 => Just(startup("agent")),
            2 => Just(sasl_initial_response("SCRAM-SHA-256", b"n,,n=,r=abc")),
            2 => Just(password(b"c=biws,r=abc,p=AAAA")),
            2 => prop::collection::vec(any::<u8>(), 0..30).prop_map(Bytes::from),
        ], 0..8),
        with_tls in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let stand = stand(with_tls, |_| {}).await;
            let mut tcp = stand.dial().await;
            let _ = tcp.write_all(&said.concat()).await;
            let _ = tcp.shutdown().await;
            let _ = tcp.read_to_end(&mut Vec::new()).await;
            let outcome = stand.served.await.expect("no panic");
            assert!(!matches!(outcome, Ok(Ok(_))), "nobody gets in by guessing");
        });
    }
}
