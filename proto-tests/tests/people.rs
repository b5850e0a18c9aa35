//! `pgveil login` and what follows from it, with a real OpenID provider and psql: people come in, go on, and go.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::LazyLock;

use proto_tests::cli::binary;
use proto_tests::clients::{ALL, query, rows};
use proto_tests::{Home, Issuer, Person, Ran, Stand, cli, eventually};
use serde_json::Value;

static ISSUER: LazyLock<Issuer> = LazyLock::new(|| Issuer::start(600));
/// Its tokens do not live long.
static BRIEF: LazyLock<Issuer> = LazyLock::new(|| Issuer::start(9));
static STAND: LazyLock<Stand> =
    LazyLock::new(|| Stand::start("clinic", &["--also", &configuration("clear_on_loopback = true\n")]));
static TLS: LazyLock<Stand> = LazyLock::new(|| Stand::start("clinic", &["--tls", "--also", &configuration("")]));

const SCOPE: &str = "openid profile groups db";
/// What only clinicians see.
const NAME: &str = "select last_name from clinical.patients where id = 7";

fn configuration(login: &str) -> String {
    let more = format!("groups_claim = \"groups\"\nleeway = \"0s\"\nscope = \"{SCOPE}\"");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let (first, brief) = (ISSUER.entry("first", &more), BRIEF.entry("brief", &more));
    write!(file, "[login]\n{login}\n{first}\n{brief}").unwrap();
    file.into_temp_path().keep().unwrap().to_str().unwrap().to_owned()
}

/// As little as has to be said.
fn by_the_servers_word(stand: &Stand) -> Vec<String> {
    let server = format!("127.0.0.1:{}", stand.port());
    ["clinic", "--server", &server, "--without-tls", "--yes"].map(str::to_owned).to_vec()
}

fn by_name(stand: &Stand, issuer: &Issuer) -> Vec<String> {
    let (server, url) = (format!("127.0.0.1:{}", stand.port()), issuer.url());
    let named = ["--issuer", &url, "--client-id", "pgveil-cli", "--scope", SCOPE];
    [&["clinic", "--server", &server, "--without-tls"][..], &named].concat().into_iter().map(str::to_owned).collect()
}

fn words(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn clear(home: &Home, stand: &Stand) {
    let ran = home.psql(stand, &["-d", "service=clinic", "-tAc", NAME]);
    assert_eq!(ran.ok().trim(), stand.owner(NAME));
}

#[test]
fn a_device_code_opens_psql_until_logout() {
    let home = Home::default();
    let services = home.path().join(".pg_service.conf");
    std::fs::write(&services, "[other]\nhost=nowhere\n").unwrap();
    let ran = home.log_in(&words(&by_the_servers_word(&STAND)), "carla");
    assert!(ran.err.contains(&format!("sends you to {}", ISSUER.url())), "{}", ran.err);
    assert!(ran.ok().contains("logged in to clinic as carla"));
    clear(&home, &STAND);
    assert_eq!(mode(&home.state()), 0o700);
    for file in std::fs::read_dir(home.state()).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
    let kept: Value = serde_json::from_str(&home.read("clinic.json")).unwrap();
    let (token, refresh) = (kept["tokens"]["bearer"].as_str().unwrap(), kept["tokens"]["refresh"].as_str().unwrap());
    let shown = home.pgveil(&["whoami", "--json"]).json();
    let login = &shown["logins"][0];
    assert_eq!((&login["name"], &login["database"], &login["over"]), (&"carla".into(), &"clinic".into(), &false.into()));
    assert_eq!(login["issuer"], ISSUER.url());
    let dsn = home.pgveil(&["dsn", "clinic"]).ok();
    assert_eq!(home.psql(&STAND, &["-d", dsn.trim(), "-tAc", NAME]).ok().trim(), STAND.owner(NAME));
    let psql = home.pgveil(&["psql", "clinic", "-XtAc", "select 'in', current_database()"]).ok();
    assert_eq!(psql.trim(), "in|clinic");
    let table = home.pgveil(&["whoami"]).ok();
    for seen in [&dsn, &table, &shown.to_string(), &home.processes().join("\n"), &STAND.log()] {
        let parts = token.split('.').chain([refresh]);
        parts.for_each(|part| assert!(!seen.contains(part), "a token is shown: {seen}"));
    }
    assert!(home.processes().iter().any(|line| line.contains("renew --watch clinic")));
    let form = format!("grant_type=refresh_token&client_id=pgveil-cli&refresh_token={refresh}");
    assert!(home.pgveil(&["logout", "clinic"]).ok().contains("logged out of clinic"));
    assert_eq!(ISSUER.form("/token", &form)["error"], "invalid_grant", "the issuer has taken it back");
    assert_eq!(std::fs::read_to_string(&services).unwrap(), "[other]\nhost=nowhere\n");
    assert_eq!((home.read("clinic.json"), home.read("clinic.passfile")), (String::new(), String::new()));
    assert_ne!(home.psql(&STAND, &["-d", "service=clinic", "-c", "select 1"]).code, 0);
    assert_eq!(home.pgveil(&["psql", "clinic"]).code, 1);
    eventually("nobody renews it any more", || home.processes().is_empty().then_some(()));
}

/// A browser that leaves what it is told to open for the test.
fn browser(home: &Home) -> String {
    let script = home.path().join("browser");
    std::fs::write(&script, "#!/bin/sh\nprintf %s \"$1\" > \"$HOME/asked.new\"\nmv \"$HOME/asked.new\" \"$HOME/asked\"\n")
        .unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    script.to_str().unwrap().to_owned()
}

/// The address that a page leads to.
fn leads_to(page: &str) -> String {
    let (_, rest) = page.split_once("href=\"").unwrap();
    rest.split('"').next().unwrap().replace("&amp;", "&")
}

#[test]
fn a_browser_comes_back_with_its_own_answer_only() {
    let home = Home::default();
    let port = TLS.port();
    let (server, url) = (format!("localhost:{port}"), ISSUER.url());
    let arguments = [
        "login",
        "clinic",
        "--server",
        &server,
        "--ca",
        TLS.value("CA"),
        "--issuer",
        &url,
        "--client-id",
        "pgveil-cli",
        "--scope",
        SCOPE,
    ];
    let running = home.start(&[&arguments[..], &["--browser"]].concat(), &[("BROWSER", &browser(&home))]);
    let page = eventually("a browser is opened", || std::fs::read_to_string(home.path().join("asked")).ok());
    assert!(page.starts_with(home.state().to_str().unwrap()), "the address would be seen in the list of processes: {page}");
    assert_eq!(mode(Path::new(&page)), 0o600);
    let address = leads_to(&std::fs::read_to_string(&page).unwrap());
    let parameter = |name: &str| {
        let (_, behind) = address.split_once(&format!("{name}=")).unwrap_or_else(|| panic!("no {name} in {address}"));
        behind.split('&').next().unwrap().to_owned()
    };
    assert_eq!((parameter("code_challenge_method").as_str(), parameter("response_type").as_str()), ("S256", "code"));
    assert!(parameter("state").len() >= 16 && parameter("nonce").len() >= 16);
    let back = parameter("redirect_uri").replace("%3A", ":").replace("%2F", "/");
    // Whoever finds the port is sent away, and the login goes on.
    for (path, code) in [("?code=stolen&state=guessed", 400), ("?code=stolen", 400), ("/elsewhere?code=x", 404), ("", 400)] {
        assert_eq!(Person::default().go(&format!("{back}{path}"), None).code, code, "{path}");
    }
    let mut person = Person::default();
    let form = person.go(&address, None);
    let done = person.log_in(&form, "carla");
    assert_eq!(done.code, 200);
    assert!(done.url.starts_with(&back) && done.body.contains("close this window"), "{done:?}");
    assert!(done.head.to_lowercase().contains("referrer-policy: no-referrer"), "{}", done.head);
    assert_eq!(running.done().code, 0);
    assert!(!Path::new(&page).exists());
    clear(&home, &TLS);
    // By TLS the server's name is verified: under another one nobody is let near the token.
    assert_ne!(home.psql(&TLS, &["-d", "service=clinic hostaddr=127.0.0.1 host=other.example", "-c", "select 1"]).code, 0);
    let wrong = home.pgveil(&["login", "x", "--server", &server, "--yes"]);
    assert_eq!(wrong.code, 3, "roots that do not vouch for it: {}", wrong.err);
    let clear = home.pgveil(&["login", "x", "--server", &server, "--ca", TLS.value("CA"), "--yes"]);
    assert!(clear.code == 1 && clear.err.contains("https"), "an issuer in clear by a server's word: {}", clear.err);
    assert_eq!(home.pgveil(&["logout", "clinic"]).code, 0);
}

#[test]
fn who_says_no_at_the_issuer_is_not_logged_in() {
    let home = Home::default();
    let arguments = by_name(&STAND, &ISSUER);
    let running = home.start(&[&["login"], &words(&arguments)[..], &["--browser"]].concat(), &[("BROWSER", &browser(&home))]);
    let page = eventually("a browser is opened", || std::fs::read_to_string(home.path().join("asked")).ok());
    let address = leads_to(&std::fs::read_to_string(&page).unwrap());
    let field = |name: &str| address.split_once(&format!("{name}=")).unwrap().1.split('&').next().unwrap().to_owned();
    let back = field("redirect_uri").replace("%3A", ":").replace("%2F", "/");
    let other = format!("{back}?code=c&state={}&iss=https%3A%2F%2Fother.example", field("state"));
    assert!(Person::default().go(&other, None).body.contains("Nobody was logged in"));
    let ran = running.done();
    assert!(ran.code == 1 && ran.err.contains("is not from"), "{}", ran.err);
    assert!(!home.state().join("clinic.json").exists());
}

#[test]
fn short_tokens_are_renewed_and_nobody_logs_in_again() {
    let home = Home::default();
    let ran = home.log_in(&words(&by_name(&STAND, &BRIEF)), "carla");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let mut seen = home.read("clinic.passfile");
    for _ in 0..3 {
        seen = eventually("the token is renewed", || Some(home.read("clinic.passfile")).filter(|now| *now != seen));
        clear(&home, &STAND);
    }
    // Keys change in mid-run, and many ask at once: a refresh token serves once, so one of them asks for all.
    let _ = BRIEF.steer("rotate", &serde_json::json!({}));
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| assert_eq!(home.pgveil(&["renew", "clinic"]).code, 0));
        }
    });
    let before = home.read("clinic.passfile");
    eventually("the token is renewed", || (home.read("clinic.passfile") != before).then_some(()));
    eventually("keys that have changed are known", || {
        home.psql(&STAND, &["-d", "service=clinic", "-tAc", "select 1"]).code.eq(&0).then_some(())
    });
    // Who is logged out elsewhere is out here, too, when the token ends.
    let kept: Value = serde_json::from_str(&home.read("clinic.json")).unwrap();
    let refresh = kept["tokens"]["refresh"].as_str().unwrap();
    let mut ended = home.command("curl");
    let form = format!("token={refresh}&client_id=pgveil-cli");
    let revoked = ended.args(["-sf", "-d", &form, &format!("{}/token/revocation", BRIEF.url())]).output().unwrap();
    assert!(revoked.status.success());
    let over = eventually("the login is over", || Some(home.pgveil(&["renew", "clinic"])).filter(|ran| ran.code != 0));
    assert!(over.code == 1 && over.err.contains("log in again"), "{}", over.err);
    let out = home.psql(&STAND, &["-d", "service=clinic", "-c", "select 1"]);
    assert!(out.err.contains("token has expired"), "{}", out.err);
}

#[test]
fn what_is_not_pgveils_is_left_alone() {
    let home = Home::default();
    let services = home.path().join(".pg_service.conf");
    std::fs::write(&services, "[clinic]\nhost=mine\n").unwrap();
    let refused = |ran: Ran, words: &str| {
        assert!(ran.code != 0 && ran.err.contains(words), "{}", ran.err);
        assert_eq!(std::fs::read_to_string(&services).unwrap(), "[clinic]\nhost=mine\n");
    };
    let arguments = by_name(&STAND, &ISSUER);
    refused(home.pgveil(&[&["login", "--device"], &words(&arguments)[..]].concat()), "that pgveil did not write");
    assert!(!home.state().join("clinic.json").exists(), "a login is kept whole or not at all");
    let ran = home.log_in(&[&words(&arguments)[..], &["--no-service", "--no-renew"]].concat(), "carla");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(home.pgveil(&["psql", "clinic", "-XtAc", "select 1"]).ok().trim(), "1");
    assert_eq!(home.pgveil(&["logout", "clinic"]).code, 0);
    // Names, servers and folders that would mean more than they say.
    for name in ["../x", "a/b", "-x", "x]", ""] {
        refused(home.pgveil(&["login", "--server", "127.0.0.1", "--", name]), "");
    }
    refused(home.pgveil(&["login", "x", "--server", "pgveil.example.org", "--without-tls"]), "without TLS");
    refused(home.pgveil(&["login", "x", "--server", "a,b", "--yes"]), "is no server");
    refused(
        home.pgveil(&["login", "x", "--server", &format!("127.0.0.1:{}", STAND.port()), "--without-tls"]),
        "nobody is here to agree",
    );
    refused(home.pgveil(&["login", "unheard-of"]), "there is no login");
    std::fs::set_permissions(home.state(), std::fs::Permissions::from_mode(0o755)).unwrap();
    refused(home.pgveil(&["whoami"]), "yours alone");
}

#[test]
fn a_server_without_issuers_sends_nobody_anywhere() {
    let (home, stand) = (Home::default(), Stand::start("clinic", &[]));
    let ran = home.pgveil(&["login", "x", "--server", &format!("127.0.0.1:{}", stand.port()), "--without-tls", "--yes"]);
    assert!(ran.code == 1 && ran.err.contains("names no issuer"), "{}", ran.err);
}

#[test]
fn a_machine_logs_in_by_its_secret() {
    let home = Home::default();
    std::fs::write(home.path().join("secret"), "scheduler-secret\n").unwrap();
    let (server, url) = (format!("127.0.0.1:{}", STAND.port()), BRIEF.url());
    let secret = ["--issuer", &url, "--client-id", "scheduler", "--client-secret-file", "secret", "--scope", "db"];
    let ran = home.pgveil(&[&["login", "clinic", "--server", &server, "--without-tls"], &secret[..]].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    for _ in 0..2 {
        let before = home.read("clinic.passfile");
        eventually("the token is renewed", || (home.read("clinic.passfile") != before).then_some(()));
        let ran = home.psql(&STAND, &["-d", "service=clinic", "-tAc", NAME]);
        assert_ne!(ran.ok().trim(), STAND.owner(NAME), "an agent sees what only clinicians may see");
    }
    assert_eq!(home.pgveil(&["logout", "clinic"]).code, 0);
}

#[test]
fn a_local_port_goes_on_while_tokens_come_and_go() {
    let home = Home::default();
    assert_eq!(home.log_in(&[&words(&by_name(&STAND, &BRIEF))[..], &["--no-renew"]].concat(), "carla").code, 0);
    let mut port = home.start(&["connect", "clinic"], &[]);
    let uri = port.ready();
    let mut ways = vec![uri.clone()];
    let socket = home.state().join("clinic.socket/.s.PGSQL.5432");
    assert_eq!((mode(&socket), mode(socket.parent().unwrap())), (0o600, 0o700));
    assert_eq!(home.start(&["connect", "clinic"], &[]).done().code, 3, "the place is taken");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut tcp = home.start(&["connect", "clinic", "--listen", &free], &[]);
    ways.push(tcp.ready());
    assert!(ways[1].contains(&free) && ways[1].contains("passfile="), "{}", ways[1]);
    let first = home.read("clinic.passfile");
    for _ in 0..3 {
        let before = home.read("clinic.passfile");
        for uri in &ways {
            assert_eq!(home.psql(&STAND, &["-d", uri, "-tAc", NAME]).ok().trim(), STAND.owner(NAME));
        }
        eventually("the token is renewed", || (home.read("clinic.passfile") != before).then_some(()));
    }
    assert_ne!(home.read("clinic.passfile"), first);
    // Who does not know the local password gets nothing, and the password is in no list of processes.
    let password = home.read("clinic.local");
    let bare = ways[1].split('?').next().unwrap();
    for guess in ["", "guess", &password[..20]] {
        let ran = home.psql(&STAND, &["-d", &format!("{bare}?sslmode=disable&password={guess}"), "-c", "select 1"]);
        assert!(ran.code != 0, "{guess}: {}", ran.out);
    }
    assert!(home.processes().iter().all(|line| !line.contains(&password)));
    // Where others could come in, nothing is opened.
    for place in ["0.0.0.0:0", "/tmp/.s.PGSQL.5432", "/tmp/x", "10.0.0.1:5432", "nowhere"] {
        assert_eq!(home.pgveil(&["connect", "clinic", "--listen", place]).code, 2, "{place}");
    }
    cancel_reaches_the_server(&home, &uri);
    assert_eq!(home.pgveil(&["logout", "clinic"]).code, 0);
    let ran = home.psql(&STAND, &["-d", &uri, "-c", "select 1"]);
    assert!(ran.code != 0 && ran.err.contains("pgveil login clinic"), "{}", ran.err);
}

fn cancel_reaches_the_server(home: &Home, uri: &str) {
    let waits = home
        .command(&format!("{}/psql", STAND.value("PG_BIN")))
        .args(["-Xq", "-d", uri, "-c", "select pg_sleep(600), 'locally'"])
        .spawn();
    let mut waits = waits.unwrap();
    let running = "select count(*) from pg_stat_activity where state = 'active' and query like '%locally''%' and query not like '%pg_stat_activity%'";
    eventually("the statement runs", || (STAND.owner(running) == "1").then_some(()));
    let id = waits.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    eventually("it is cancelled", || (STAND.owner(running) == "0").then_some(()));
    assert!(!waits.wait().unwrap().success());
}

#[test]
fn another_user_of_the_machine_does_not_come_in_by_the_socket_file() {
    let home = Home::default();
    assert_eq!(home.log_in(&words(&by_name(&STAND, &ISSUER)), "carla").code, 0);
    let mut port = home.start(&["connect", "clinic"], &[]);
    let uri = port.ready();
    clear(&home, &STAND);
    // Open to all, as a careless chmod would leave it: who is not the user is still sent away. Only root can be somebody else.
    let own = String::from_utf8(std::process::Command::new("id").arg("-u").output().unwrap().stdout).unwrap();
    if own.trim() == "0" {
        let psql = format!("{}/psql", STAND.value("PG_BIN"));
        let other = |program: &str, arguments: &[&str]| {
            let mut command = home.command("setpriv");
            command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", program]).args(arguments).current_dir("/");
            command.output().unwrap()
        };
        for file in ["clinic.json", "clinic.passfile"] {
            assert!(!other("cat", &[home.state().join(file).to_str().unwrap()]).status.success(), "{file}");
        }
        for folder in [home.path().to_owned(), home.path().join(".local"), home.path().join(".local/state"), home.state()] {
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let folder = home.state().join("clinic.socket");
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::set_permissions(folder.join(".s.PGSQL.5432"), std::fs::Permissions::from_mode(0o777)).unwrap();
        let out = other(&psql, &["-Xwd", &uri, "-c", "select 1"]);
        let err = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success() && err.contains("closed the connection"), "{err}");
        std::fs::set_permissions(home.state(), std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    assert_eq!(home.psql(&STAND, &["-d", &uri, "-tAc", "select 1"]).ok().trim(), "1");
    assert_eq!(home.pgveil(&["logout", "clinic"]).code, 0);
}

#[test]
fn drivers_connect_by_a_local_port_and_by_a_machines_token() {
    let home = Home::default();
    std::fs::write(home.path().join("secret"), "scheduler-secret").unwrap();
    let (server, url) = (format!("localhost:{}", TLS.port()), ISSUER.url());
    let named = [
        "--ca",
        TLS.value("CA"),
        "--issuer",
        &url,
        "--client-id",
        "scheduler",
        "--client-secret-file",
        "secret",
        "--scope",
        "db",
    ];
    assert_eq!(home.pgveil(&[&["login", "clinic", "--server", &server], &named[..]].concat()).code, 0);
    let mut port = home.start(&["connect", "clinic", "--listen", "127.0.0.1:0", "--show-secret"], &[]);
    let uri = port.ready();
    let agent = TLS.identity("AGENT");
    let token = ISSUER.machine("scheduler");
    let direct = agent.dsn.replace(&format!("{}:{}@", agent.user, agent.password), &format!("scheduler:{token}@"));
    for client in ALL {
        for dsn in [&uri, &direct] {
            let answer = &client.run(dsn, &[query("select 40 + 2")])[0];
            assert_eq!(rows(answer)[0][0].as_deref(), Some("42"), "{client:?}: {answer}");
        }
    }
    assert_eq!(home.pgveil(&["logout", "clinic"]).code, 0);
}

/// An issuer that is none: it answers every request by what `answer` makes of its own address.
fn impostor(answer: impl Fn(&str, &str) -> String + Send + 'static) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let own = url.clone();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let Ok(mut socket) = socket else { return };
            let mut head = [0; 4096];
            let read = socket.read(&mut head).unwrap_or_default();
            let path = String::from_utf8_lossy(&head[..read]).split(' ').nth(1).unwrap_or_default().to_owned();
            let body = answer(&own, &path);
            let _ = write!(
                socket,
                "HTTP/1.0 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
    url
}

fn discovery(url: &str, issuer: &str, more: &str) -> String {
    format!(
        r#"{{"issuer":"{issuer}","authorization_endpoint":"{url}/auth","token_endpoint":"{url}/token","jwks_uri":"{url}/jwks",
        "response_types_supported":["code"],"subject_types_supported":["public"],"id_token_signing_alg_values_supported":["RS256"]{more}}}"#
    )
}

#[test]
fn a_hostile_issuer_gets_nothing_written_and_nothing_shown() {
    type Answer = Box<dyn Fn(&str, &str) -> String + Send>;
    let device = r#","device_authorization_endpoint":"URL/device""#;
    let code = |url: &str, page: &str| {
        format!(
            r#"{{"device_code":"d","user_code":"A\u001b[2JB","verification_uri":"{page}","expires_in":60,"interval":1,"url":"{url}"}}"#
        )
    };
    let by_device = move |url: &str, path: &str, page: &str, tokens: &str| match path {
        "/jwks" => r#"{"keys":[]}"#.to_owned(),
        "/device" => code(url, page),
        "/token" => tokens.to_owned(),
        _ => discovery(url, url, &device.replace("URL", url)),
    };
    let tokens =
        |token: &str| format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":60,"refresh_token":"r"}}"#);
    let cases: Vec<(&str, Answer)> = vec![
        ("calls itself otherwise", Box::new(|url, _| discovery(url, "https://other.example", ""))),
        ("discovery document", Box::new(|_, _| "[".repeat(100_000))),
        ("more than", Box::new(|_, _| "x".repeat(3 << 20))),
        (
            "https",
            Box::new(|url, path| {
                if path == "/jwks" {
                    r#"{"keys":[]}"#.into()
                } else {
                    discovery(url, url, "").replace(&format!("{url}/token"), "http://evil.example/token")
                }
            }),
        ),
        ("https", Box::new(move |url, path| by_device(url, path, "http://evil.example/login", ""))),
        ("JWT", Box::new(move |url, path| by_device(url, path, "https://login.example", &tokens("opaque\\n*:*:*:*:x")))),
        ("JWT", Box::new(move |url, path| by_device(url, path, "https://login.example", &tokens("eyJ.eyJ.x\\ny")))),
        (
            "no tokens that can be read",
            Box::new(move |url, path| by_device(url, path, "https://login.example", r#"{"access_token":"eyJsecret.eyJ.x"}"#)),
        ),
    ];
    for (words, answer) in cases {
        let home = Home::default();
        let url = impostor(answer);
        let server = format!("127.0.0.1:{}", STAND.port());
        let ran = home.pgveil(&[
            "login",
            "clinic",
            "--server",
            &server,
            "--without-tls",
            "--issuer",
            &url,
            "--client-id",
            "c",
            "--device",
        ]);
        assert!(ran.code != 0 && ran.err.contains(words), "{words}: {} {}", ran.code, ran.err);
        assert!(!ran.err.contains('\u{1b}') && !ran.err.contains("eyJ"), "{}", ran.err);
        assert!(!home.state().join("clinic.json").exists() && !home.path().join(".pg_service.conf").exists());
    }
}

#[test]
fn help_tells_no_secrets_and_takes_none() {
    for command in ["login", "logout", "whoami", "psql", "dsn", "renew", "connect"] {
        let help = cli::pgveil(&[command, "--help"]).ok();
        assert!(!help.contains("--password") && !help.contains("--token ") && !help.contains("--client-secret "), "{help}");
    }
    assert!(Path::new(&binary()).exists());
}
