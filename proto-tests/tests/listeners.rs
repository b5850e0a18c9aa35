//! Where clients are served: IPv4, IPv6 and socket files, side by side; and what keeps half-open connections from staying.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::LazyLock;

use proto_tests::cli::pgveil;
use proto_tests::server::Server;
use proto_tests::wire::VERSION_3_0;
use proto_tests::{Identity, Stand, Way, Wire};

/// Configured, but started by each test.
static STAND: LazyLock<Stand> = LazyLock::new(|| Stand::start("clinic", &["--without-pgveil"]));

/// A configuration like the stand's that listens on these addresses, in a file of its own with a store of its own.
fn configured(name: &str, addresses: &[String], more: &str) -> String {
    let text = std::fs::read_to_string(STAND.value("CONFIG")).unwrap();
    let list: Vec<String> = addresses.iter().map(|address| format!("{address:?}")).collect();
    let own = format!("address = [{}]\n{more}", list.join(", "));
    let line = text.lines().find(|line| line.starts_with("address = ")).unwrap();
    let admin = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let text = text.replacen(line, &own, 1).replace("path = \"data\"", &format!("path = \"data-{name}\""));
    let text = text.replace("key_file = \"master.key\"", &format!("key_file = \"{name}.key\""));
    let text = text
        .replace("witness = ", "# witness = ")
        .replace(STAND.value("ADMIN").trim_start_matches("http://"), &admin.to_string());
    let file = format!("{}/{name}.toml", STAND.value("DIR"));
    std::fs::write(&file, text).unwrap();
    file
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn socket_file(name: &str) -> PathBuf {
    let folder = format!("{}/{name}", STAND.value("DIR"));
    std::fs::create_dir_all(&folder).unwrap();
    PathBuf::from(folder).join(".s.PGSQL.6432")
}

fn agent() -> Identity {
    STAND.identity("AGENT")
}

fn comes_in(way: &Way) -> Result<Wire, String> {
    let wire = Wire::try_start(way, VERSION_3_0, &agent(), "clinic", &[]).map_err(|e| e.to_string())?;
    wire.map_err(|refusal| refusal.field(b'M').unwrap_or_default())
}

/// IPv6, unless this machine has none, which is said.
fn ipv6() -> bool {
    let has = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    if !has {
        eprintln!("NOT RUN: IPv6, which this machine has not");
    }
    has
}

#[test]
fn one_listener_set_has_many_addresses() {
    let (port, socket) = (free_port(), socket_file("many"));
    let mut addresses = vec![format!("0.0.0.0:{port}"), socket.display().to_string()];
    let mut ways = vec![Way::port(port), Way::Unix(socket.clone())];
    if ipv6() {
        addresses.push(format!("[::]:{port}"));
        ways.push(Way::Tcp(Ipv6Addr::LOCALHOST.into(), port));
    }
    let file = configured("many", &addresses, "allow_plaintext = true");
    let mut server = Server::try_start(&file).unwrap();
    for way in &ways {
        let mut wire = comes_in(way).unwrap_or_else(|fault| panic!("{way:?}: {fault}"));
        assert_eq!(wire.query("select 1").tags(), "TDCZ");
        wire.ask("select pg_sleep(25)");
        let running = format!("select count(*) from pg_stat_activity where pid = {} and wait_event = 'PgSleep'", wire.key.0);
        proto_tests::eventually("it runs", || (STAND.owner(&running) == "1").then_some(()));
        wire.cancel();
        assert_eq!(wire.reply().sqlstate().as_deref(), Some("57014"), "{way:?}: a cancel by the same way");
    }
    let shown = STAND.psql(
        &format!(
            "host={} port=6432 user={} password={} dbname=clinic",
            socket.parent().unwrap().display(),
            agent().user,
            agent().password
        ),
        &["-tAc", "select 'by psql'"],
    );
    assert_eq!(String::from_utf8_lossy(&shown.stdout), "by psql\n", "{}", String::from_utf8_lossy(&shown.stderr));
    assert_eq!(server.stop(), 0);
    assert!(!socket.exists(), "the socket file is left behind");
    let sessions = pgveil(&["sessions", "--config", &file, "--json"]).ok();
    assert!(sessions.contains("local user "), "who came by the socket is not recorded: {sessions}");
}

#[test]
fn a_socket_file_takes_passwords_where_tcp_needs_tls() {
    let stand = Stand::start("clinic", &["--tls", "--without-pgveil"]);
    let folder = stand.value("DIR").to_owned();
    let text = std::fs::read_to_string(stand.value("CONFIG")).unwrap();
    let line = text.lines().find(|line| line.starts_with("address = ")).unwrap().to_owned();
    let tcp = line.trim_start_matches("address = ").to_owned();
    let file = format!("{folder}/both.toml");
    std::fs::write(&file, text.replacen(&line, &format!("address = [{tcp}, \"{folder}/.s.PGSQL.1\"]"), 1)).unwrap();
    let _server = Server::try_start(&file).unwrap();
    let who = stand.identity("AGENT");
    let socket = Way::Unix(format!("{folder}/.s.PGSQL.1").into());
    let start = |way: &Way| Wire::try_start(way, VERSION_3_0, &who, "clinic", &[]).unwrap();
    assert!(start(&socket).is_ok());
    assert!(start(&Way::Tls(stand.port(), stand.value("CA").into())).is_ok());
    let refused = start(&Way::port(stand.port())).err().and_then(|refusal| refusal.field(b'C'));
    assert_eq!(refused.as_deref(), Some("28000"));
    // there is no TLS on a socket file, as with PostgreSQL
    let mut wire = Wire::open(&socket).unwrap();
    wire.send(&[0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f]).unwrap();
    assert_eq!(wire.byte().unwrap(), b'N');
}

#[test]
fn a_socket_file_left_behind_is_taken_over_and_nothing_else_is() {
    let socket = socket_file("left");
    let file = configured("left", &[socket.display().to_string()], "");
    drop(UnixListener::bind(&socket).unwrap());
    let mut server = Server::try_start(&file).unwrap();
    assert!(comes_in(&Way::Unix(socket.clone())).is_ok());
    server.kill();
    assert!(socket.exists());
    let mut server = Server::try_start(&file).unwrap();
    assert!(comes_in(&Way::Unix(socket.clone())).is_ok());
    assert_eq!(server.stop(), 0);
    // somebody else's
    let theirs = UnixListener::bind(&socket).unwrap();
    let told = Server::try_start(&file).err().unwrap();
    assert!(told.contains("cannot listen on") && told.contains(".s.PGSQL.6432"), "{told}");
    drop(theirs);
    std::fs::remove_file(&socket).unwrap();
    std::fs::write(&socket, "a letter").unwrap();
    assert!(Server::try_start(&file).is_err());
    assert_eq!(std::fs::read_to_string(&socket).unwrap(), "a letter");
}

/// Timer 2 of a socket is its keep-alive: a side that has gone without a word is found out by it.
#[test]
fn both_legs_of_a_session_are_kept_alive() {
    let port = free_port();
    let file = configured("alive", &[format!("127.0.0.1:{port}")], "");
    let server = Server::try_start(&file).unwrap();
    let wire = comes_in(&Way::port(port)).unwrap();
    let upstream: u16 = STAND.value("PG_PORT").parse().unwrap();
    let timers = |local: bool, port: u16| -> Vec<String> {
        let own: BTreeSet<String> = sockets_of(server.pid());
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
        let wanted = format!(":{port:04X}");
        let mine = rows.filter(|row| row[3] == "01" && own.contains(row[9]) && row[if local { 1 } else { 2 }].ends_with(&wanted));
        mine.map(|row| row[5].split(':').next().unwrap_or_default().to_owned()).collect()
    };
    for (local, port) in [(true, port), (false, upstream)] {
        let found = timers(local, port);
        assert!(!found.is_empty() && found.iter().all(|timer| timer == "02"), "port {port}: timers {found:?}");
    }
    drop(wire);
}

fn sockets_of(pid: u32) -> BTreeSet<String> {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let links = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    links.filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())).collect()
}
