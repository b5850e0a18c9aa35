//! What is done with a run of bytes that nobody vouches for: one body a decoder or room.
//!
//! A body panics when something is not as it must be. It is a function of its bytes alone, so that what was found once is found
//! again by replaying them.

mod conversation;
mod copy;
mod documents;
mod grammar;
mod ground;
mod identity;
mod input;
mod ledger;
mod lineage;
mod messages;
mod policy;
mod rows;
mod scan;
mod stream;
mod text;
mod wire_client;
mod wire_server;

pub use conversation::flow;
pub use copy::mask_copy;
pub use documents::mask_json;
pub use identity::identity;
pub use ledger::ledger;
pub use lineage::sql_lineage;
pub use messages::mask_message;
pub use policy::policy;
pub use rows::mask_rows;
pub use scan::mask_scan;
pub use text::sql_facts;
pub use wire_client::wire_client;
pub use wire_server::wire_server;

/// What a target runs.
pub type Body = fn(&[u8]);

/// Every target by its name.
pub const ALL: [(&str, Body); 13] = [
    ("flow", flow),
    ("identity", identity),
    ("ledger", ledger),
    ("mask_copy", mask_copy),
    ("mask_json", mask_json),
    ("mask_message", mask_message),
    ("mask_rows", mask_rows),
    ("mask_scan", mask_scan),
    ("policy", policy),
    ("sql_facts", sql_facts),
    ("sql_lineage", sql_lineage),
    ("wire_client", wire_client),
    ("wire_server", wire_server),
];
