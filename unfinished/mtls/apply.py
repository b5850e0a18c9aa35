def ed(p,*reps):
    s=open(p).read()
    for a,b in reps:
        assert a in s,(p,a)
        s=s.replace(a,b,1)
    open(p,'w').write(s)
ed('src/identity/end_point.rs',('const SEQUENCE: u8','pub(super) const SEQUENCE: u8'),('fn element(der','pub(super) fn element(der'))
ed('src/identity/mod.rs',('mod bearer;\n','mod bearer;\nmod certificate;\n'),('pub use claims::ClaimPath;','pub use certificate::{Holder, Holders, not_after};\npub use claims::ClaimPath;'))
ed('src/frontend/tls.rs',
('use rustls::{ServerConfig, crypto::aws_lc_rs};','use rustls::crypto::{CryptoProvider, aws_lc_rs};\nuse rustls::server::WebPkiClientVerifier;\nuse rustls::server::danger::ClientCertVerifier;\nuse rustls::{RootCertStore, ServerConfig};'),
('''    /// The two do not fit''','''    /// No certificate in PEM form among the roots of clients' certificates.
    #[error("no root certificate for clients in PEM form found")]
    ClientRoots,
    /// The two do not fit'''),
('''    /// Takes a certificate chain, our own certificate first, and its key, both in PEM.
    ///
    /// # Errors
    /// If either is missing or unusable.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, TlsFault> {''','''    /// Takes a certificate chain, our own certificate first, and its key, both in PEM; and the roots that vouch for clients'
    /// certificates, if clients may have some.
    ///
    /// # Errors
    /// If any is missing or unusable.
    pub fn from_pem(certificates: &[u8], key: &[u8], client_roots: Option<&[u8]>) -> Result<Self, TlsFault> {'''),
('''        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(TlsFault::Unusable)?;
''','''        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let builder = builder.map_err(TlsFault::Unusable)?;
        let builder = match client_roots {
            Some(roots) => builder.with_client_cert_verifier(verifier(roots, provider)?),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(TlsFault::Unusable)?;
'''),
('''/// Shows nothing: it holds a private key.''','''/// Takes clients without a certificate, and of the others those whose certificate these roots vouch for.
fn verifier(roots: &[u8], provider: Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, TlsFault> {
    let certificates = CertificateDer::pem_slice_iter(roots).collect::<Result<Vec<_>, _>>().map_err(|_| TlsFault::ClientRoots)?;
    let mut anchors = RootCertStore::empty();
    anchors.add_parsable_certificates(certificates);
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(anchors), provider).allow_unauthenticated();
    builder.build().map_err(|_| TlsFault::ClientRoots)
}

/// Shows nothing: it holds a private key.'''))
s=open('src/frontend/tests.rs').read()
s=s.replace('made.signing_key.serialize_pem().as_bytes()).unwrap();','made.signing_key.serialize_pem().as_bytes(), None).unwrap();',1)
s=s.replace('ServerTls::from_pem(b"", key.as_bytes())','ServerTls::from_pem(b"", key.as_bytes(), None)').replace('pem().as_bytes(), b"none")','pem().as_bytes(), b"none", None)').replace('other.cert.pem().as_bytes(), key.as_bytes())','other.cert.pem().as_bytes(), key.as_bytes(), None)')
s=s.replace('let doors = Doors { roster, tokens: None, offers, clear_on_loopback: false };','let doors = Doors { roster, tokens: None, holders: Holders::default(), offers, clear_on_loopback: false };')
s=s.replace('use crate::identity::{Credential, Denied,','use crate::identity::{Credential, Denied, Holders,')
open('src/frontend/tests.rs','w').write(s)
ed('src/frontend/stream.rs',('''    /// Whether nobody on the way''','''    /// The client's certificate (DER), which has been verified, if it has one.
    pub(super) fn certificate(&self) -> Option<&CertificateDer<'static>> {
        match self {
            Self::Clear(_) | Self::Unix(_) => None,
            Self::Tls(tls) => tls.get_ref().1.peer_certificates()?.first(),
        }
    }

    /// Whether nobody on the way'''),
('use tokio_rustls::server::TlsStream;','use rustls::pki_types::CertificateDer;\nuse tokio_rustls::server::TlsStream;'))
ed('src/frontend/login.rs',
('''    /// Which client is offered what.
''','''    /// Whom clients' certificates stand for.
    pub holders: Holders,
    /// Which client is offered what.
'''),
('    BEARER_BYTES_MAX, Caller, Channel, Identity,','    BEARER_BYTES_MAX, Caller, Channel, Holders, Identity,'),
('''        let (offer, issuer) = doors.offer(&stream, &startup)?;
''','''        if let Some(identity) = doors.certified(&stream, &user) {
            return Ok((identity, buffer));
        }
        let (offer, issuer) = doors.offer(&stream, &startup)?;
'''),
('''impl Doors {
''','''impl Doors {
    /// Whom the client's certificate stands for, if it has one and gives that user. Another user is asked for another proof.
    fn certified(&self, stream: &Stream, user: &[u8]) -> Option<Identity> {
        if self.holders.is_empty() {
            return None;
        }
        let der = stream.certificate()?;
        let certificate = webpki::EndEntityCert::try_from(der).ok()?;
        let names = certificate.valid_dns_names().chain(certificate.valid_uri_names());
        self.holders.identify(names, user, not_after(der))
    }

'''),
('TOKEN_BYTES_MAX, TokenFault, Way,','TOKEN_BYTES_MAX, TokenFault, Way, not_after,'))
ed('src/server/ways.rs',('''    Ok(Doors { roster, tokens, offers''','''    let holders = config.certificates.iter().map(|one| {
        let holder = Holder { name: one.name.clone(), groups: one.groups.clone() };
        (one.san.clone(), holder)
    });
    let holders = Holders::new(holders);
    Ok(Doors { roster, tokens, holders, offers'''),('use crate::identity::{Roster, Way};','use crate::identity::{Holder, Holders, Roster, Way};'))
ed('src/server/mod.rs',('ServerTls::from_pem(&tls.certificate, tls.key.reveal()).map_err','ServerTls::from_pem(&tls.certificate, tls.key.reveal(), tls.client_roots.as_deref()).map_err'))
ed('src/config/mod.rs',
('mod file;\n','mod certificate;\nmod file;\n'),
('''    /// Issuers of tokens''','''    /// Whom clients' certificates stand for; names in certificates differ, and so do those of identities.
    pub certificates: Vec<Certificate>,
    /// Issuers of tokens'''),
('''    /// Where the certificate was read from.
    pub certificate_file''','''    /// The roots that vouch for clients' certificates, PEM; `None` if clients are not asked for any.
    pub client_roots: Option<Vec<u8>>,
    /// Where the certificate was read from.
    pub certificate_file'''),
('''/// What clients are asked for at their login.
#[derive''','''/// Whom a client's certificate stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// A DNS name or URI among the certificate's subject alternative names.
    pub san: String,
    /// What the client gives as user.
    pub name: String,
    /// The identity's groups.
    pub groups: Vec<String>,
}

/// What clients are asked for at their login.
#[derive'''))
ed('src/config/read.rs',
('"credential", "issuer"]','"credential", "certificate", "issuer"]'),
('''        let issuers = self.issuers(''','''        let client_roots = listen.as_ref().and_then(|listen| listen.tls.as_ref()).is_some_and(|tls| tls.client_roots.is_some());
        let certificates = super::certificate::certificates(root, client_roots, credentials.as_deref().unwrap_or_default());
        let issuers = self.issuers('''),
('''            issuers: issuers?,
''','''            certificates: certificates?,
            issuers: issuers?,
'''),
('fields.only(&["certificate", "key"]);','fields.only(&["certificate", "key", "client_ca"]);'),
('''        self.warn_if_open(&key_file);
        Some(Tls { certificate, key, ''','''        let client_roots = super::issuer::optional(fields, "client_ca", |value| self.roots(value))?;
        self.warn_if_open(&key_file);
        Some(Tls { certificate, key, client_roots, '''))
ed('src/config/issuer.rs',('    fn roots(&self,','    pub(super) fn roots(&self,'))
open('src/config/certificate.rs','w').write('''//! `[[certificate]]`: whom clients' certificates stand for.

use std::collections::HashMap;

use super::read::name;
use super::{Certificate, Credential};
use crate::policy::{Fields, clip};

/// Most entries.
const CERTIFICATES_MAX: usize = 10_000;

/// Reads them; `client_roots` says whether clients are asked for certificates at all.
pub(super) fn certificates(
    root: &Fields<'_, '_>,
    client_roots: bool,
    credentials: &[Credential],
) -> Option<Vec<Certificate>> {
    let tables = root.tables("certificate");
    if tables.len() > CERTIFICATES_MAX {
        root.fault(format!("more than {CERTIFICATES_MAX} `[[certificate]]` entries"));
        return None;
    }
    if let (Some(first), false) = (tables.first(), client_roots) {
        first.fault("`[[certificate]]` needs `client_ca` in `[listen] tls`: without it no client is asked for a certificate");
    }
    let (mut names, mut sans) = (HashMap::new(), HashMap::new());
    let read: Vec<Option<Certificate>> =
        tables.iter().map(|fields| certificate(fields, (&mut names, &mut sans), credentials)).collect();
    read.into_iter().collect()
}

fn certificate(
    fields: &Fields<'_, '_>,
    (names, sans): (&mut HashMap<String, usize>, &mut HashMap<String, usize>),
    credentials: &[Credential],
) -> Option<Certificate> {
    fields.only(&["san", "name", "groups"]);
    let san = fields.require("san").and_then(|value| {
        let text = value.text()?;
        if let Some(line) = sans.insert(text.to_owned(), value.line()) {
            value.fault(format!("`{}` is taken in line {line}", clip(text)));
        }
        Some(text.to_owned())
    });
    let name = fields.require("name").and_then(|value| {
        let name = name(&value, names)?;
        if credentials.iter().any(|credential| credential.name == name) || name.contains('@') {
            value.fault(format!("the name `{}` is that of a credential, or could be an issuer's: it has `@` in it", clip(&name)));
        }
        Some(name)
    });
    let groups = fields.require("groups").and_then(|value| value.words());
    Some(Certificate { san: san?, name: name?, groups: groups? })
}
''')
s=open('src/config/tests.rs').read()
s+='''
#[test]
fn certificates_stand_for_somebody() {
    let folder = folder();
    let listen = |more: &str| format!("[listen]\\ntls = {{ certificate = \\"server.crt\\", key = \\"server.key\\"{more} }}\\n");
    let entry = "[[certificate]]\\nsan = \\"spiffe://clinic/agent\\"\\nname = \\"agent\\"\\ngroups = [\\"agents\\"]\\n";
    let config = load(folder.path(), &minimal(&format!("{}{entry}", listen(", client_ca = \\"server.crt\\"")))).unwrap();
    assert_eq!(config.certificates[0].san, "spiffe://clinic/agent");
    let faults = load(folder.path(), &minimal(&format!("{}{entry}", listen("")))).unwrap_err();
    assert!(faults[0].contains("needs `client_ca`"), "{faults:?}");
    let again = entry.replace("\\"agent\\"", "\\"x@y\\"");
    let faults = load(folder.path(), &minimal(&format!("{}{entry}{again}", listen(", client_ca = \\"password\\"")))).unwrap_err();
    for wanted in ["holds no certificate", "is taken in line 4", "it has `@` in it"] {
        assert!(faults.iter().any(|fault| fault.contains(wanted)), "{wanted} not in {faults:#?}");
    }
}
'''
open('src/config/tests.rs','w').write(s)
ed('docs/identity.md',('''## Which way in
''','''## Client certificates

With `client_ca` clients may bring a certificate that these roots vouch for. One that names somebody here (a DNS name or URI among its
subject alternative names) opens a session by itself, if the client gives that user; with another user it is asked for another proof.

```toml
[listen]
tls = { certificate = "server.crt", key = "server.key", client_ca = "clients.crt" }

[[certificate]]
san = "spiffe://clinic.example.org/mcp-agent"
name = "mcp-agent-2"
groups = ["agents"]
```

The end of the certificate is the end of the proof. A certificate that has expired already fails in TLS: clients say so in their own words.

## Which way in
'''),('way (`scram`, `password`, `token`, `oauthbearer`)','way (`scram`, `password`, `token`, `oauthbearer`, `certificate`)'))
ed('docs/configuration.md',('| `[listen] tls` | none | certificate chain and private key, PEM; they must fit each other |','| `[listen] tls` | none | certificate chain and private key, PEM; they must fit each other; `client_ca`: roots for clients\' certificates |'),
('| `[[credential]] name` | must be said','| `[[certificate]] san`, `name`, `groups` | must be said | whom a client\'s certificate stands for; see [identity.md](identity.md) |\n| `[[credential]] name` | must be said'))
