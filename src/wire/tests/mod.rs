//! Golden bytes, refused bytes, and properties of the codec.

use super::*;
use proptest::prelude::*;
use serde_json::Value;

/// A field as `frames.json` writes it.
pub(super) trait ToJson {
    fn to_json(&self) -> Value;
}

macro_rules! plain_json {
    ($($type:ty)*) => {$(
        impl ToJson for $type {
            fn to_json(&self) -> Value {
                (*self).into()
            }
        }
    )*};
}
plain_json!(u8 u16 u32 u64 &str);

impl ToJson for Blob<'_> {
    fn to_json(&self) -> Value {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
    }
}

impl<'a, T: Field<'a> + Copy + ToJson> ToJson for List<'a, T> {
    fn to_json(&self) -> Value {
        self.iter().map(|entry| entry.to_json()).collect::<Vec<_>>().into()
    }
}

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../tests/vectors/frames.json")).expect("the vectors are JSON")
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

/// The vectors write a short list entry as an array of its values.
fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Array(b)) => a.len() == b.len() && a.values().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => ours == theirs,
    }
}

#[test]
fn every_vector_round_trips() {
    let mut seen = std::collections::BTreeSet::new();
    for frame in vectors()["frames"].as_array().expect("frames") {
        let name = frame["name"].as_str().expect("name");
        let bytes = hex(frame["hex"].as_str().expect("hex"));
        let mut again = Vec::new();
        let (kind, fields) = if frame["way"] == "user" {
            let message = User::decode(&bytes, Dialect::Link).unwrap_or_else(|error| panic!("{name}: {error}"));
            message.encode(&mut again);
            (message.kind(), message.to_json())
        } else {
            let message = Server::decode(&bytes, Dialect::Link).unwrap_or_else(|error| panic!("{name}: {error}"));
            message.encode(&mut again);
            (message.kind(), message.to_json())
        };
        assert_eq!(again, bytes, "{name} is encoded as it was");
        assert_eq!(u64::from(kind), frame["type"].as_u64().expect("type"), "{name}");
        assert!(same(&fields, &frame["fields"]), "{name}: {fields} is not {}", frame["fields"]);
        seen.insert((frame["way"] == "user", kind));
    }
    let table = User::TYPES.iter().map(|row| (true, row.0)).chain(Server::TYPES.iter().map(|row| (false, row.0)));
    assert_eq!(seen, table.collect(), "every row of the table has a golden frame");
}

#[test]
fn every_malformed_vector_is_refused() {
    for frame in vectors()["malformed"].as_array().expect("malformed") {
        let (name, bytes) = (frame["name"].as_str().expect("name"), hex(frame["hex"].as_str().expect("hex")));
        for dialect in [Dialect::Classic, Dialect::Link] {
            let error = User::decode(&bytes, dialect).expect_err(name);
            let fault = match name {
                "empty" | "short_header" => Fault::HeaderCut,
                "wrong_lead" => Fault::Lead,
                "length_too_long" => Fault::ContentCut,
                "length_too_short" => Fault::BytesAfter,
                "string_cut" | "list_cut" | "blob_cut" => Fault::FieldCut,
                "not_utf8" => Fault::NotUtf8,
                "huge_length" => Fault::ContentTooLong,
                "type_0f" => Fault::UnknownType,
                "server_as_sender" => Fault::Program,
                other => panic!("a malformed vector that this test does not know: {other}"),
            };
            assert_eq!(error.fault, fault, "{name}: {error}");
            assert_ne!(error.need, error.have, "{name}: {error}");
        }
    }
}

#[test]
fn an_error_says_where_and_how_much() {
    let cut = hex("810a01030000000c000027110000271200326869");
    let error = User::decode(&cut, Dialect::Classic).expect_err("cut");
    assert_eq!(error, WireError { fault: Fault::FieldCut, offset: 18, need: 50, have: 2 });
    assert_eq!(error.to_string(), "field cut at offset 18: need 50 bytes, have 2");
}

#[test]
fn a_classic_reader_ignores_what_part_three_adds() {
    let mut bytes = Vec::new();
    User::Message { me: 1, to: 2, text: "x", id: Some(7) }.encode(&mut bytes);
    let classic = User::decode(&bytes, Dialect::Classic);
    assert_eq!(classic, Ok(User::Message { me: 1, to: 2, text: "x", id: None }));
    bytes.clear();
    User::Received { me: 1, messages: List::new(&[]) }.encode(&mut bytes);
    assert_eq!(User::decode(&bytes, Dialect::Classic).expect_err("part 3").fault, Fault::UnknownType);
}

#[test]
fn a_profile_is_refused_where_a_field_is_too_long_and_never_cut() {
    let vector = &vectors()["frames"][0];
    let bytes = hex(vector["hex"].as_str().expect("hex"));
    let User::Register { profile, .. } = User::decode(&bytes, Dialect::Classic).expect("a good frame") else {
        panic!("the first vector registers")
    };
    assert_eq!(profile.check(), Ok(()));
    let long = "n".repeat(65);
    let error = Profile { nickname: &long, ..profile }.check().expect_err("too long");
    assert_eq!(error.to_string(), "nickname is 65 bytes long; at most 64 are allowed");
    assert!(Profile { nickname: "", ..profile }.check().is_err());
    assert!(Profile { portrait: 256, ..profile }.check().is_err());
    assert!(Profile { sex: 3, ..profile }.check().is_err());
    assert!(Profile { authorization: 3, ..profile }.check().is_err());
    assert!(Profile { age: 255, country: 255, ..profile }.check().is_ok());
}

proptest! {
    /// Whatever decodes is encoded to a frame that decodes to the same; nothing panics.
    #[test]
    fn any_bytes_decode_or_are_refused(kind in 0u8..0x50, content in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut frame = vec![0x81, 0x0A, 0x01, kind];
        frame.extend_from_slice(&(content.len() as u32).to_be_bytes());
        frame.extend_from_slice(&content);
        for dialect in [Dialect::Classic, Dialect::Link] {
            if let Ok(message) = User::decode(&frame, dialect) {
                let mut again = Vec::new();
                message.encode(&mut again);
                prop_assert_eq!(User::decode(&again, dialect), Ok(message));
            }
            frame[1] = 0x01;
            frame[2] = 0x0A;
            if let Ok(message) = Server::decode(&frame, dialect) {
                let mut again = Vec::new();
                message.encode(&mut again);
                prop_assert_eq!(Server::decode(&again, dialect), Ok(message));
            }
            frame[1] = 0x0A;
            frame[2] = 0x01;
        }
    }

    /// A vector with any one byte changed, or cut anywhere, is decoded or refused, never a panic.
    #[test]
    fn broken_vectors_are_refused(which in 0usize..64, at in 0usize..400, byte in any::<u8>(), cut in any::<bool>()) {
        let all = vectors();
        let frames = all["frames"].as_array().expect("frames");
        let mut bytes = hex(frames[which % frames.len()]["hex"].as_str().expect("hex"));
        let at = at % bytes.len();
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        let _ = (User::decode(&bytes, Dialect::Link), Server::decode(&bytes, Dialect::Link));
        let _ = stream_frame_bytes(&bytes);
    }

    #[test]
    fn texts_and_lists_round_trip(text in "\\PC{0,300}", moves in proptest::collection::vec((any::<u32>(), any::<u8>()), 0..256)) {
        let moves: Vec<Move> = moves.into_iter().map(|(friend, group)| Move { friend, group }).collect();
        let entries = [FriendEntry { number: 1, portrait: 2, status: 3, nickname: &text }; 3];
        let groups = [GroupEntry { name: &text, group: 9, friends: List::new(&entries) }; 2];
        let mut bytes = Vec::new();
        let message = User::MoveFriends { me: 5, moves: List::new(&moves[..moves.len().min(255)]) };
        message.encode(&mut bytes);
        prop_assert_eq!(User::decode(&bytes, Dialect::Classic), Ok(message));
        bytes.clear();
        let message = Server::SignedIn { ok: 1, groups: List::new(&groups), token: Some(&text) };
        message.encode(&mut bytes);
        prop_assert_eq!(Server::decode(&bytes, Dialect::Link), Ok(message));
    }
}
