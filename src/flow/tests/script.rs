//! What a client may say, and the frames of it.
//!
//! The fuzz target of this room includes this file as well.

use std::collections::HashMap;

use super::model::{Text, frame};
use crate::wire::Frame;

#[derive(Debug, Clone)]
pub(super) enum Said {
    Query(u32),
    Parse(u8, u32),
    Bind(u8, u8),
    Describe(bool, u8),
    Execute(u8, u8),
    Close(bool, u8),
    Flush,
    Sync,
}

fn name(of: u8) -> String {
    if of == 0 { String::new() } else { format!("n{of}") }
}

/// The frames a client sends; behind what may begin a COPY IN it sends data, as clients do.
pub(super) fn frames(script: &[Said]) -> Vec<Frame> {
    let mut texts: HashMap<u8, u32> = HashMap::new();
    let mut out = Vec::new();
    for said in script {
        match said {
            Said::Query(text) => {
                out.push(frame(b'Q', format!("{text}\0").as_bytes()));
                if Text(*text).what() == "copy-in" {
                    out.push(frame(b'd', b"data"));
                    out.push(frame(b'c', b""));
                }
            }
            Said::Parse(statement, text) => {
                texts.insert(*statement, *text);
                out.push(frame(b'P', format!("{}\0{text}\0\0\0", name(*statement)).as_bytes()));
            }
            Said::Bind(portal, statement) => {
                let mut body = format!("{}\0{}\0", name(*portal), name(*statement)).into_bytes();
                body.extend([0; 6]);
                out.push(frame(b'B', &body));
            }
            Said::Describe(statement, of) => {
                out.push(frame(b'D', format!("{}{}\0", if *statement { 'S' } else { 'P' }, name(*of)).as_bytes()));
            }
            Said::Execute(portal, rows_max) => {
                let mut body = format!("{}\0", name(*portal)).into_bytes();
                body.extend(u32::from(*rows_max).to_be_bytes());
                out.push(frame(b'E', &body));
                out.push(frame(b'd', b"data"));
                out.push(frame(b'c', b""));
            }
            Said::Close(statement, of) => {
                out.push(frame(b'C', format!("{}{}\0", if *statement { 'S' } else { 'P' }, name(*of)).as_bytes()));
            }
            Said::Flush => out.push(frame(b'H', b"")),
            Said::Sync => out.push(frame(b'S', b"")),
        }
    }
    out.push(frame(b'S', b""));
    out
}
