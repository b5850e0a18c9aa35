//! Who somebody is, once that is proved.

use jiff::Timestamp;

/// By which way an identity was proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A registered credential, by SCRAM.
    Scram,
    /// A registered credential, sent as a password.
    Password,
    /// An issuer's token, sent as a password.
    Token,
    /// An issuer's token, by SASL OAUTHBEARER.
    Bearer,
    /// A client certificate.
    Certificate,
}

impl Way {
    /// The word for it in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scram => "scram",
            Self::Password => "password",
            Self::Token => "token",
            Self::Bearer => "oauthbearer",
            Self::Certificate => "certificate",
        }
    }
}

/// What the end of a proof means for the session that it opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// The session ends at once.
    End,
    /// It ends when no transaction is open, or a while later in any case.
    FinishTransaction,
    /// It goes on; only a new login needs a new proof.
    FinishSession,
}

impl Expiry {
    /// All of them, by the names that configurations use.
    pub const ALL: [(&'static str, Self); 3] =
        [("end", Self::End), ("finish-transaction", Self::FinishTransaction), ("finish-session", Self::FinishSession)];
}

/// Somebody who has proved who they are. Issuer and subject are who they are; the name is how they are shown, and no two identities of
/// a process have the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// How they are shown: a credential's name, or `name@issuer`.
    pub name: String,
    /// The issuer's name in the configuration; empty for what is registered here.
    pub issuer: String,
    /// What the issuer calls them; for what is registered here the name.
    pub subject: String,
    /// Who acts for them, as the token says; empty if they act themselves.
    pub actor: String,
    /// The groups that policies speak of.
    pub groups: Vec<String>,
    /// When the proof ends; `None` if it does not.
    pub expires: Option<Timestamp>,
    /// What that means for the session; `None` for what holds for all.
    pub at_expiry: Option<Expiry>,
    /// How they proved it.
    pub way: Way,
}
