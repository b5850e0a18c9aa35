#![allow(clippy::cast_possible_truncation, reason = "messages of tests are short")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;
use crate::identity::{Channel, ExpectProof, ITERATIONS_MIN, Mechanism, NONCE_BYTES, Verifier};
use crate::secret::Secret;
use crate::wire::{
    self, CancelKey, Frame, SaslInitialResponse, StartupPacket, TransactionStatus, VERSION_3_0, authentication, backend_key_data,
    cancel_request, parameter_status, ready, sasl_mechanisms,
};

const DICE: [u8; NONCE_BYTES] = *b"eighteen dice here";
const LIMITS: QueryLimits = QueryLimits { rows_max: 3, answer_bytes_max: 1_000, time_max: Duration::from_secs(10) };

#[test]
fn uris_are_read_as_libpq_reads_them() {
    let tcp = |host: &str, port| Address::Tcp { host: host.to_owned(), port };
    let cases = [
        ("postgresql://app@db.example/clinic", tcp("db.example", 5432), Some("clinic"), SslMode::VerifyFull, None),
        ("postgres://app@db:6000?sslmode=disable", tcp("db", 6000), None, SslMode::Disable, None),
        ("postgresql://app@[::1]:7000/x%2fy?sslmode=require", tcp("::1", 7000), Some("x/y"), SslMode::Require, None),
        ("postgresql://app@[::1]/", tcp("::1", 5432), None, SslMode::VerifyFull, None),
        (
            "postgresql://app@db/c?sslmode=verify-ca&sslrootcert=/a%20b",
            tcp("db", 5432),
            Some("c"),
            SslMode::VerifyCa,
            Some("/a b"),
        ),
        ("postgresql://app@db/c?sslrootcert=system", tcp("db", 5432), Some("c"), SslMode::VerifyFull, None),
        ("postgresql://app@/c?host=/run", Address::Unix("/run/.s.PGSQL.5432".into()), Some("c"), SslMode::Disable, None),
        ("postgresql://app@%2Frun:9/c", Address::Unix("/run/.s.PGSQL.9".into()), Some("c"), SslMode::Disable, None),
        ("postgresql://app@/c?host=/run&port=8", Address::Unix("/run/.s.PGSQL.8".into()), Some("c"), SslMode::Disable, None),
    ];
    for (dsn, address, database, ssl_mode, root_file) in cases {
        let read = Upstream::parse(dsn).unwrap();
        assert_eq!((read.address, read.ssl_mode, read.user.as_str()), (address, ssl_mode, "app"), "{dsn}");
        assert_eq!((read.database.as_deref(), read.root_file.as_deref()), (database, root_file.map(Path::new)), "{dsn}");
        assert!(read.password.is_none());
    }
    let secret = Upstream::parse("postgresql://app:p%40ss:w@db/c").unwrap();
    assert_eq!(secret.password.as_ref().unwrap().reveal(), b"p@ss:w");
    assert!(!format!("{secret:?}").contains("ss:w"));
}

#[test]
fn all_faults_of_a_uri_are_named() {
    use UpstreamFault::*;
    let cases = [
        ("", vec![Scheme]),
        ("host=db user=app", vec![Scheme]),
        ("postgresql://", vec![Host, User]),
        ("postgresql://app@a,b/c", vec![Hosts]),
        ("postgresql://app@db:0/c", vec![Port]),
        ("postgresql://app@db:70000/c", vec![Port]),
        ("postgresql://a%zz@db/c", vec![Escape("user"), User]),
        ("postgresql://app:%@db/c", vec![Escape("password")]),
        ("postgresql://app@db/%00", vec![Escape("database")]),
        ("postgresql://app@db/c?sslmode=prefer&x=1", vec![SslMode("prefer".to_owned()), Parameter("x".to_owned())]),
        ("postgresql://app@/c?host=/run&sslmode=require", vec![SocketTls]),
        ("postgresql://db:x/c?sslmode=allow", vec![SslMode("allow".to_owned()), Port, User]),
    ];
    for (dsn, faults) in cases {
        assert_eq!(Upstream::parse(dsn).unwrap_err(), faults, "{dsn}");
    }
    assert_eq!(Upstream::parse(&format!("postgresql://{}@db/c", "a".repeat(5_000))).unwrap_err(), [Scheme]);
}

proptest! {
    #[test]
    fn any_uri_is_taken_calmly(rest in "[a-z0-9:@/?&=%,\\[\\]. é]{0,60}") {
        let _ = Upstream::parse(&format!("postgresql://{rest}"));
    }

    #[test]
    fn any_server_is_taken_calmly(said in prop::collection::vec(any_said(), 0..12), noise in prop::collection::vec(any::<u8>(), 0..30)) {
        let mut script = said.concat();
        script.extend(noise);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (route, served) = server("?sslmode=disable", async move |mut tcp| {
                first_packet(&mut tcp).await;
                let _ = tcp.write_all(&script).await;
            }).await;
            let _ = connect(&route, &START).await;
            served.await.unwrap();
        });
    }
}

fn any_said() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(authentication(0, b"").to_vec()),
        Just(sasl_mechanisms(&["SCRAM-SHA-256"]).to_vec()),
        Just(authentication(11, b"r=abc,s=AAAA,i=1").to_vec()),
        Just(authentication(12, b"v=AAAA").to_vec()),
        Just(authentication(5, b"salt").to_vec()),
        Just(authentication(3, b"").to_vec()),
        Just(parameter_status(b"a", b"b").to_vec()),
        Just(ready(TransactionStatus::Idle).to_vec()),
        Just(wire::notice(&[(b'M', b"x")]).to_vec()),
        (any::<u8>(), prop::collection::vec(any::<u8>(), 0..20)).prop_map(|(tag, body)| said(tag, &body)),
    ]
}

fn said(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat()
}

const START: Start<'static> = Start { version: VERSION_3_0, database: b"clinic", parameters: &[] };

/// A server for one connection, and the way to it.
async fn server<F: Future<Output = ()> + Send>(
    query: &str,
    play: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> (Route, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(async move { play(listener.accept().await.unwrap().0).await });
    let upstream = Upstream::parse(&format!("postgresql://app@127.0.0.1:{port}/{query}")).unwrap();
    (Route::new(upstream, Some(Secret::new(b"right".to_vec())), Duration::from_secs(10)).unwrap(), served)
}

async fn first_packet(tcp: &mut (impl AsyncRead + Unpin)) -> StartupPacket {
    let mut length = [0; 4];
    tcp.read_exact(&mut length).await.unwrap();
    let mut packet = vec![0; u32::from_be_bytes(length) as usize - 4];
    tcp.read_exact(&mut packet).await.unwrap();
    StartupPacket::read(&packet.into()).unwrap()
}

async fn frame(tcp: &mut (impl AsyncRead + Unpin)) -> Frame {
    let mut header = [0; 5];
    tcp.read_exact(&mut header).await.unwrap();
    let mut body = vec![0; u32::from_be_bytes(header[1..].try_into().unwrap()) as usize - 4];
    tcp.read_exact(&mut body).await.unwrap();
    Frame::new([&header[..], &body].concat().into()).unwrap()
}

/// Runs the server's side of SCRAM with the verifier of `known`; the final message is left to the caller.
async fn scram(tcp: &mut TcpStream, known: &str) -> Option<String> {
    tcp.write_all(&sasl_mechanisms(&["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"])).await.unwrap();
    let initial = SaslInitialResponse::read(&frame(tcp).await).unwrap();
    assert_eq!(initial.mechanism, "SCRAM-SHA-256");
    let verifier = Verifier::make(known.as_bytes(), b"sixteen bytes of", ITERATIONS_MIN).unwrap();
    let (exchange, first) =
        ExpectProof::begin(Mechanism::ScramSha256, &initial.response.unwrap(), verifier, DICE, &Channel::Clear).unwrap();
    tcp.write_all(&authentication(11, first.as_bytes())).await.unwrap();
    exchange.finish(frame(tcp).await.body()).ok()
}

fn settled(key: &CancelKey) -> Vec<u8> {
    let notice = wire::notice(&[(b'S', b"NOTICE"), (b'M', b"hello")]);
    let setting = parameter_status(b"DateStyle", b"ISO, DMY");
    [&authentication(0, b"")[..], &notice, &setting, &backend_key_data(key), &ready(TransactionStatus::Idle), b"ahead"].concat()
}

#[tokio::test]
async fn a_connection_opens_with_the_clients_own_parameters() {
    let key = CancelKey { process: 7, secret: Bytes::from_static(b"four") };
    let told = settled(&key);
    let (route, served) = server("?sslmode=disable", async move |mut tcp| {
        let StartupPacket::Startup(startup) = first_packet(&mut tcp).await else { panic!("no startup") };
        let parameters: Vec<_> =
            startup.parameters.iter().map(|(name, value)| format!("{}={}", name.escape_ascii(), value.escape_ascii())).collect();
        assert_eq!(parameters, ["user=app", "database=clinic", "options=-c geqo=off", "application_name=\\xff"]);
        let last = scram(&mut tcp, "right").await.expect("a good proof");
        tcp.write_all(&authentication(12, last.as_bytes())).await.unwrap();
        tcp.write_all(&told).await.unwrap();
    })
    .await;
    let own = |name: &'static [u8], value: &'static [u8]| (Bytes::from_static(name), Bytes::from_static(value));
    let parameters = [
        own(b"user", b"agent"),
        own(b"options", b"-c geqo=off"),
        own(b"database", b"other"),
        own(b"replication", b"true"),
        own(b"_pq_.x", b"1"),
        own(b"application_name", b"\xff"),
    ];
    let connection = connect(&route, &Start { parameters: &parameters, ..START }).await.unwrap();
    assert_eq!((connection.opening.len(), connection.key, connection.status), (2, Some(key), TransactionStatus::Idle));
    assert_eq!(connection.parameters.get(b"DateStyle".as_slice()).unwrap(), "ISO, DMY");
    assert_eq!(connection.leftover, b"ahead".as_slice());
    served.await.unwrap();
}

#[tokio::test]
async fn a_server_that_does_not_know_the_password_is_not_believed() {
    let key = CancelKey { process: 7, secret: Bytes::from_static(b"four") };
    let lies: [Option<&[u8]>; 4] = [None, Some(b"v=AAAA"), Some(b"e=other-error"), Some(b"")];
    for lie in lies {
        let told = settled(&key);
        let (route, served) = server("?sslmode=disable", async move |mut tcp| {
            first_packet(&mut tcp).await;
            assert!(scram(&mut tcp, "another").await.is_none());
            if let Some(lie) = lie {
                tcp.write_all(&authentication(12, lie)).await.unwrap();
            }
            tcp.write_all(&told).await.unwrap();
        })
        .await;
        assert!(matches!(connect(&route, &START).await, Err(ConnectError::Scram)));
        served.await.unwrap();
    }
}

#[tokio::test]
async fn logins_that_go_wrong_are_named() {
    type Expected = fn(&ConnectError) -> bool;
    let flood: Vec<u8> = [&authentication(0, b"")[..], &parameter_status(b"a", b"b").repeat(2_000)].concat();
    let cases: Vec<(Vec<u8>, Expected)> = vec![
        (vec![], |e| matches!(e, ConnectError::Closed)),
        (authentication(7, b"").to_vec(), |e| matches!(e, ConnectError::Login(7))),
        (authentication(11, b"").to_vec(), |e| matches!(e, ConnectError::Login(11))),
        (sasl_mechanisms(&["OAUTHBEARER"]).to_vec(), |e| matches!(e, ConnectError::Mechanism)),
        (ready(TransactionStatus::Idle).to_vec(), |e| matches!(e, ConnectError::Unexpected(b'Z'))),
        (wire::error(&[(b'C', b"53300"), (b'M', b"too many")]).to_vec(), |e| {
            matches!(e, ConnectError::Refused { sqlstate, .. } if sqlstate.as_str() == "53300") && e.whose() == Whose::Client
        }),
        (wire::error(&[(b'C', b"28000")]).to_vec(), |e| e.whose() == Whose::Operator),
        (
            wire::error(&[(b'C', b"\xff\xff")]).to_vec(),
            |e| matches!(e, ConnectError::Refused { sqlstate, .. } if sqlstate.as_str() == "XX000"),
        ),
        (flood, |e| matches!(e, ConnectError::TooMuch)),
        (said(b'N', &[b'x'; 70_000]), |e| matches!(e, ConnectError::TooMuch)),
        (vec![b'R', 0xff, 0xff, 0xff, 0xff], |e| matches!(e, ConnectError::Malformed(_))),
        (said(b'R', &[0, 0, 0, 0, 0]), |e| matches!(e, ConnectError::Malformed(_))),
    ];
    for (index, (script, expected)) in cases.into_iter().enumerate() {
        let (route, served) = server("?sslmode=disable", async move |mut tcp| {
            first_packet(&mut tcp).await;
            let _ = tcp.write_all(&script).await;
        })
        .await;
        let error = connect(&route, &START).await.unwrap_err();
        assert!(expected(&error), "case {index}: {error:?}");
        let _ = served.await;
    }
}

#[tokio::test]
async fn without_tls_nothing_is_said_to_a_server_that_should_have_it() {
    for answer in [b"N".as_slice(), b"E", b""] {
        let (route, served) = server("?sslmode=require", async move |mut tcp| {
            assert!(matches!(first_packet(&mut tcp).await, StartupPacket::SslRequest));
            tcp.write_all(answer).await.unwrap();
            tcp.shutdown().await.unwrap();
            assert_eq!(tcp.read(&mut [0]).await.unwrap_or(0), 0, "not a byte more");
        })
        .await;
        assert!(matches!(connect(&route, &START).await, Err(ConnectError::NoTls | ConnectError::Closed)));
        served.await.unwrap();
    }
}

#[tokio::test]
async fn roots_that_are_missing_are_named() {
    let upstream = |file: &Path| Upstream::parse(&format!("postgresql://a@b/c?sslrootcert={}", file.display())).unwrap();
    let route = |file: PathBuf| Route::new(upstream(&file), None, Duration::from_secs(1));
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(route(folder.path().join("none")), Err(RouteFault::RootFile(_))));
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "no certificate").unwrap();
    assert!(matches!(route(empty), Err(RouteFault::Roots)));
}

#[tokio::test]
async fn silent_servers_are_not_waited_for() {
    let (mut route, served) = server("?sslmode=disable", async move |mut tcp| {
        first_packet(&mut tcp).await;
        assert_eq!(tcp.read(&mut [0]).await.unwrap(), 0, "hung up");
    })
    .await;
    route.connect_time_max = Duration::from_millis(50);
    assert!(matches!(connect(&route, &START).await, Err(ConnectError::TimedOut)));
    served.await.unwrap();
}

#[tokio::test]
async fn a_cancel_names_its_key_and_waits_for_the_close() {
    let key = CancelKey { process: 7, secret: Bytes::from_static(b"a long key of protocol 3.2") };
    let expected = cancel_request(&key);
    let (route, served) = server("?sslmode=disable", async move |mut tcp| {
        let mut packet = BytesMut::zeroed(expected.len());
        tcp.read_exact(&mut packet).await.unwrap();
        assert_eq!(packet, expected);
    })
    .await;
    cancel(&route, &key).await.unwrap();
    served.await.unwrap();
}

/// A querier whose server answers each question with the next script.
async fn querier(scripts: Vec<Vec<u8>>) -> Querier {
    let (route, _served) = server("?sslmode=disable", async move |mut tcp| {
        first_packet(&mut tcp).await;
        let opened = [&authentication(0, b"")[..], &ready(TransactionStatus::Idle)].concat();
        tcp.write_all(&opened).await.unwrap();
        for script in scripts {
            while !matches!(frame(&mut tcp).await.tag(), b'Q' | b'S') {}
            tcp.write_all(&script).await.unwrap();
        }
    })
    .await;
    Querier::new(connect(&route, &START).await.unwrap(), LIMITS)
}

#[tokio::test]
async fn answers_are_read_within_bounds() {
    let row = said(b'D', b"\0\x02\0\0\0\x01a\xff\xff\xff\xff");
    let done = [&wire::command_complete(b"SELECT 1")[..], &ready(TransactionStatus::Idle)].concat();
    let refused = [&wire::error(&[(b'C', b"42P01")])[..], &ready(TransactionStatus::Idle)].concat();
    let noise = [&wire::notice(&[])[..], &parameter_status(b"a", b"b")].concat();
    let good = [&noise[..], &said(b'T', b"\0\0"), &row, &row, &done].concat();
    let mut querier = querier(vec![good.clone(), refused, good, [&row.repeat(4)[..], &done].concat()]).await;
    let two = vec![vec![Some("a".to_owned()), None]; 2];
    assert_eq!(querier.simple_query("select").await.unwrap(), two);
    assert!(
        matches!(querier.simple_query("select").await, Err(QueryError::Refused { sqlstate, .. }) if sqlstate.as_str() == "42P01")
    );
    assert_eq!(querier.simple_query("select").await.unwrap(), two);
    assert!(matches!(querier.simple_query("select").await, Err(QueryError::TooLarge)));
    assert!(querier.is_broken() && matches!(querier.simple_query("select").await, Err(QueryError::Broken)));
}

#[tokio::test]
async fn answers_that_are_wrong_break_the_querier() {
    type Expected = fn(&QueryError) -> bool;
    let cases: [(Vec<u8>, Expected); 5] = [
        (said(b'D', b"\0\x01\0\0\0\x02\xff\xfe"), |e| matches!(e, QueryError::Encoding)),
        (said(b'D', b"\0\x01\0\0\0\x09a"), |e| matches!(e, QueryError::Malformed(_))),
        (said(b'G', b"\0\0\0"), |e| matches!(e, QueryError::Unexpected(b'G'))),
        (said(b'C', &[b'x'; 2_000]), |e| matches!(e, QueryError::TooLarge)),
        (vec![], |e| matches!(e, QueryError::Closed | QueryError::Io(_))),
    ];
    for (index, (script, expected)) in cases.into_iter().enumerate() {
        let mut querier = querier(vec![script]).await;
        let error = querier.simple_query("select").await.unwrap_err();
        assert!(expected(&error) && querier.is_broken(), "case {index}: {error:?}");
    }
}

#[tokio::test]
async fn a_description_refused_does_not_hinder_the_others() {
    let column =
        [b"\0\x01name\0".as_slice(), &77u32.to_be_bytes(), &[0, 3], &25u32.to_be_bytes(), &[255, 255], &[255; 4], &[0, 0]]
            .concat();
    let described = [&said(b'1', b"")[..], &said(b't', b"\0\0"), &said(b'T', &column), &ready(TransactionStatus::Idle)].concat();
    let refused = [&wire::error(&[(b'C', b"42601")])[..], &ready(TransactionStatus::Idle)].concat();
    let nothing = [&said(b'1', b"")[..], &said(b't', b"\0\0"), &said(b'n', b""), &ready(TransactionStatus::Idle)].concat();
    let mut querier = querier(vec![described, refused, nothing]).await;
    let answers = querier.describe_all(&["a", "b", "c"]).await.unwrap();
    assert_eq!(answers[0].as_ref().unwrap().columns[0].table_oid, 77);
    assert!(matches!(&answers[1], Err(QueryError::Refused { sqlstate, .. }) if sqlstate.as_str() == "42601"));
    assert!(answers[2].as_ref().unwrap().columns.is_empty());
}

/// Serves one login inside TLS, bound to the certificate, and says which mechanism the client picked.
async fn bound_server(mut tcp: TcpStream, acceptor: tokio_rustls::TlsAcceptor, end_point: Vec<u8>) {
    assert!(matches!(first_packet(&mut tcp).await, StartupPacket::SslRequest));
    tcp.write_all(b"S").await.unwrap();
    let Ok(mut tls) = acceptor.accept(tcp).await else { return };
    assert!(matches!(first_packet(&mut tls).await, StartupPacket::Startup(_)));
    tls.write_all(&sasl_mechanisms(&["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"])).await.unwrap();
    let initial = SaslInitialResponse::read(&frame(&mut tls).await).unwrap();
    assert_eq!(initial.mechanism, "SCRAM-SHA-256-PLUS");
    let verifier = Verifier::make(b"right", b"sixteen bytes of", ITERATIONS_MIN).unwrap();
    let (mechanism, channel) = (Mechanism::ScramSha256Plus, Channel::Bound(end_point));
    let (exchange, first) = ExpectProof::begin(mechanism, &initial.response.unwrap(), verifier, DICE, &channel).unwrap();
    tls.write_all(&authentication(11, first.as_bytes())).await.unwrap();
    let last = exchange.finish(frame(&mut tls).await.body()).unwrap();
    let told = [&authentication(12, last.as_bytes())[..], &authentication(0, b""), &ready(TransactionStatus::Idle)].concat();
    tls.write_all(&told).await.unwrap();
}

#[tokio::test]
async fn certificates_are_trusted_as_sslmode_says() {
    let folder = tempfile::tempdir().unwrap();
    let (own, other) = (folder.path().join("own"), folder.path().join("other"));
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(&own, made.cert.pem()).unwrap();
    std::fs::write(&other, rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap().cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let cases = [
        ("localhost", "verify-full", Some(&own), true),
        ("127.0.0.1", "verify-full", Some(&own), false),
        ("localhost", "verify-full", Some(&other), false),
        ("127.0.0.1", "verify-ca", Some(&own), true),
        ("localhost", "verify-ca", Some(&other), false),
        ("127.0.0.1", "require", None, true),
        ("127.0.0.1", "require", Some(&other), false),
    ];
    for (host, mode, roots, good) in cases {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let roots = roots.map_or(String::new(), |file| format!("&sslrootcert={}", file.display()));
        let port = listener.local_addr().unwrap().port();
        let dsn = format!("postgresql://app:right@{host}:{port}/?sslmode={mode}{roots}");
        let end_point = crate::identity::end_point(made.cert.der()).unwrap();
        let acceptor = acceptor.clone();
        let served = tokio::spawn(async move { bound_server(listener.accept().await.unwrap().0, acceptor, end_point).await });
        let route = Route::new(Upstream::parse(&dsn).unwrap(), None, Duration::from_secs(10)).unwrap();
        match connect(&route, &START).await {
            Ok(connection) => assert!(good && connection.stream.is_tls(), "{dsn}"),
            Err(error) => assert!(!good && matches!(error, ConnectError::Tls(_)), "{dsn}: {error}"),
        }
        served.await.unwrap();
    }
}
