//! A session that outlives the server (protocol.md 2.5): what a start needs to go on with it.

use crate::wire::{Field, Reader, WireError, Writer};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// A session over the link.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Whose it is.
    pub number: u32,
    /// Tells it from other sessions of that number.
    pub session: u32,
    /// The base key of what the client sends.
    pub to_server: [u8; 32],
    /// The base key of what the server sends.
    pub to_client: [u8; 32],
    /// The status that the user has set.
    pub status: u8,
    /// When it began, in milliseconds since 1970 UTC.
    pub started_ms: u64,
    /// Where the client was last heard from, and on which of the server's listeners; `None` if it cannot be reached
    /// unasked.
    pub address: Option<(SocketAddr, u16)>,
}

impl fmt::Debug for SessionRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, session, to_server: _, to_client: _, status, started_ms, address } = self;
        f.debug_struct("SessionRecord")
            .field("number", number)
            .field("session", session)
            .field("status", status)
            .field("started_ms", started_ms)
            .field("address", address)
            .finish_non_exhaustive()
    }
}

/// The first byte of a record, and the suite behind it, of which there is one.
const VERSION: u8 = 1;
const SUITE: u8 = 0;

/// Sorts of addresses.
const NOWHERE: u8 = 0;
const V4: u8 = 4;
const V6: u8 = 6;

impl SessionRecord {
    /// Its record; number and session are in the key.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(112);
        let mut writer = Writer::new(&mut bytes);
        VERSION.write(&mut writer);
        SUITE.write(&mut writer);
        writer.put(&self.to_server);
        writer.put(&self.to_client);
        self.status.write(&mut writer);
        self.started_ms.write(&mut writer);
        let Some((address, listener)) = self.address else {
            NOWHERE.write(&mut writer);
            return bytes;
        };
        match address {
            SocketAddr::V4(address) => {
                V4.write(&mut writer);
                writer.put(&address.ip().octets());
            }
            SocketAddr::V6(address) => {
                V6.write(&mut writer);
                writer.put(&address.ip().octets());
                address.flowinfo().write(&mut writer);
                address.scope_id().write(&mut writer);
            }
        }
        address.port().write(&mut writer);
        listener.write(&mut writer);
        bytes
    }

    /// Reads a record; `None` if the bytes are not one.
    pub fn decode(number: u32, session: u32, bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes.strip_prefix(&[VERSION, SUITE])?, 0);
        let record = Self::read(number, session, &mut reader).ok()??;
        reader.rest().is_empty().then_some(record)
    }

    fn read(number: u32, session: u32, reader: &mut Reader<'_>) -> Result<Option<Self>, WireError> {
        let (to_server, to_client) = (array(reader)?, array(reader)?);
        let (status, started_ms) = (u8::read(reader)?, u64::read(reader)?);
        let address = match u8::read(reader)? {
            NOWHERE => None,
            V4 => {
                let ip = IpAddr::V4(Ipv4Addr::from(array::<4>(reader)?));
                Some((SocketAddr::new(ip, u16::read(reader)?), u16::read(reader)?))
            }
            V6 => {
                let ip = Ipv6Addr::from(array::<16>(reader)?);
                let (flow, scope) = (u32::read(reader)?, u32::read(reader)?);
                let address = SocketAddrV6::new(ip, u16::read(reader)?, flow, scope);
                Some((SocketAddr::V6(address), u16::read(reader)?))
            }
            _ => return Ok(None),
        };
        Ok(Some(Self { number, session, to_server, to_client, status, started_ms, address }))
    }
}

fn array<const N: usize>(reader: &mut Reader<'_>) -> Result<[u8; N], WireError> {
    Ok(reader.take(N)?.try_into().expect("as many as were taken"))
}
