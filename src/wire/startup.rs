//! The first packet of a connection, which has no type byte.

use bytes::Bytes;

use super::{Body, CancelKey, Malformed};

/// Protocol 3.0.
pub const VERSION_3_0: u32 = 3 << 16;
/// Protocol 3.2 (PostgreSQL 18): long cancel keys.
pub const VERSION_3_2: u32 = (3 << 16) | 2;

/// Longest first packet that PostgreSQL accepts: `MAX_STARTUP_PACKET_LENGTH` and the length field, which that does not count.
pub(super) const STARTUP_BYTES_MAX: usize = 10_004;
pub(super) const CANCEL_REQUEST: u32 = (1234 << 16) | 5678;
pub(super) const SSL_REQUEST: u32 = (1234 << 16) | 5679;
const GSSENC_REQUEST: u32 = (1234 << 16) | 5680;

/// What a first packet can be.
#[derive(Debug, Clone)]
pub enum StartupPacket {
    /// SSLRequest: answered by one byte.
    SslRequest,
    /// GSSENCRequest: answered by one byte.
    GssEncRequest,
    /// CancelRequest: never answered.
    Cancel(CancelKey),
    /// StartupMessage of protocol 3.
    Startup(Startup),
    /// A StartupMessage of another major version.
    OtherVersion(u32),
}

/// StartupMessage: version and parameters in the client's own order and spelling.
#[derive(Debug, Clone)]
pub struct Startup {
    /// Protocol version asked for: major in the upper 16 bits, minor in the lower.
    pub version: u32,
    /// Names and values.
    pub parameters: Vec<(Bytes, Bytes)>,
}

impl Startup {
    /// The value of a parameter; of several with the name, the last, as the server takes it.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&Bytes> {
        self.parameters.iter().rev().find(|(key, _)| key == name.as_bytes()).map(|(_, value)| value)
    }
}

impl StartupPacket {
    /// How long the first packet is, from its first four bytes, the length field included.
    ///
    /// # Errors
    /// `Length` below 8 or above 10,004 bytes.
    pub fn frame_bytes(length: [u8; 4]) -> Result<usize, Malformed> {
        let length = u32::from_be_bytes(length);
        usize::try_from(length)
            .ok()
            .filter(|length| (8..=STARTUP_BYTES_MAX).contains(length))
            .ok_or(Malformed::Length(length.into()))
    }

    /// Reads a first packet; `packet` begins behind the length field.
    ///
    /// # Errors
    /// Fields missing or left over.
    pub fn read(packet: &Bytes) -> Result<Self, Malformed> {
        let mut body = Body::new(b'?', packet);
        match body.oid()? {
            SSL_REQUEST => body.end().map(|()| Self::SslRequest),
            GSSENC_REQUEST => body.end().map(|()| Self::GssEncRequest),
            CANCEL_REQUEST => cancel(packet, body),
            version if version >> 16 == 3 => startup(packet, version, body),
            version => Ok(Self::OtherVersion(version)),
        }
    }
}

fn cancel(packet: &Bytes, mut body: Body<'_>) -> Result<StartupPacket, Malformed> {
    let process = body.i32()?;
    let secret = body.rest();
    if secret.is_empty() || secret.len() > 256 {
        return Err(body.unknown());
    }
    Ok(StartupPacket::Cancel(CancelKey { process, secret: packet.slice_ref(secret) }))
}

fn startup(packet: &Bytes, version: u32, mut body: Body<'_>) -> Result<StartupPacket, Malformed> {
    let mut parameters = Vec::new();
    loop {
        let name = body.string()?;
        if name.is_empty() {
            break;
        }
        let value = body.string()?;
        parameters.push((packet.slice_ref(name), packet.slice_ref(value)));
    }
    body.end()?;
    Ok(StartupPacket::Startup(Startup { version, parameters }))
}
