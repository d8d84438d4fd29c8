//! `winmail.dat`: what Outlook makes of a message with formatting or files (MS-OXTNEF).

use super::super::decode::decode_text;
use super::mapi::{self, OutlookBody};

const SIGNATURE: [u8; 4] = [0x78, 0x9f, 0x3e, 0x22];
/// Maximum attributes and properties that are looked at.
const MAX_ATTRIBUTES: usize = 10_000;

#[derive(Default)]
pub(super) struct Tnef {
    pub(super) subject: String,
    pub(super) body: Option<OutlookBody>,
    /// Names and bytes.
    pub(super) attachments: Vec<(String, Vec<u8>)>,
}

/// Reads from the front of its bytes.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(self.u32()?).ok()
    }
}

/// What is in it; a file that ends too early gives what stands before.
pub(super) fn parse(bytes: &[u8]) -> Option<Tnef> {
    let mut rest = Bytes(bytes.strip_prefix(&SIGNATURE)?);
    rest.u16()?;
    let mut found = Tnef::default();
    let mut plain = None;
    for _ in 0..MAX_ATTRIBUTES {
        let Some((id, data)) = attribute(&mut rest) else {
            break;
        };
        match id {
            // attSubject, attBody
            0x8004 => found.subject = narrow(data),
            0x800c => plain = Some(narrow(data)),
            // attMsgProps
            0x9003 => found.body = message_body(data).or(found.body),
            // attAttachRenddata: the next attachment
            0x9002 => found.attachments.push(("unnamed".to_owned(), Vec::new())),
            // attAttachTitle, attAttachData, attAttachment
            0x8010 => set(&mut found, |attached| attached.0 = narrow(data)),
            0x800f => set(&mut found, |attached| attached.1 = data.to_vec()),
            0x9005 => {
                let named = properties(data).into_iter().find(|property| property.id == 0x3707);
                if let Some(name) = named.map(|name| name.text()) {
                    set(&mut found, |attached| attached.0 = name);
                }
            }
            _ => {}
        }
    }
    found.body = found.body.or(plain.map(OutlookBody::Text));
    Some(found)
}

fn set(found: &mut Tnef, change: impl FnOnce(&mut (String, Vec<u8>))) {
    if let Some(last) = found.attachments.last_mut() {
        change(last);
    }
}

/// The id and the data of the next attribute.
fn attribute<'a>(rest: &mut Bytes<'a>) -> Option<(u16, &'a [u8])> {
    rest.take(1)?;
    let id = rest.u16()?;
    // Its type.
    rest.u16()?;
    let length = rest.length()?;
    let data = rest.take(length)?;
    // The last one may lack its checksum.
    let _ = rest.u16();
    Some((id, data))
}

fn narrow(data: &[u8]) -> String {
    decode_text(data, None).0.trim_matches('\0').to_owned()
}

struct Property<'a> {
    id: u16,
    kind: u16,
    value: &'a [u8],
}

impl Property<'_> {
    fn text(&self) -> String {
        if self.kind == 0x1f { mapi::wide(self.value) } else { narrow(self.value) }
    }
}

fn message_body(data: &[u8]) -> Option<OutlookBody> {
    let properties = properties(data);
    let find = |id: u16| properties.iter().find(|property| property.id == id && !property.value.is_empty());
    if let Some(text) = find(0x1000) {
        return Some(OutlookBody::Text(text.text()));
    }
    if let Some(html) = find(0x1013) {
        return Some(OutlookBody::Html(html.value.to_vec()));
    }
    find(0x1009).and_then(|rtf| mapi::decompress(rtf.value)).map(OutlookBody::Rtf)
}

fn properties(data: &[u8]) -> Vec<Property<'_>> {
    let mut rest = Bytes(data);
    let count = rest.length().unwrap_or_default().min(MAX_ATTRIBUTES);
    let mut found = Vec::new();
    for _ in 0..count {
        match property(&mut rest) {
            Some(property) => found.push(property),
            None => break,
        }
    }
    found
}

fn property<'a>(rest: &mut Bytes<'a>) -> Option<Property<'a>> {
    let (kind, id) = (rest.u16()?, rest.u16()?);
    if id >= 0x8000 {
        // A name: its set, and a number or a text.
        rest.take(16)?;
        if rest.u32()? == 0 {
            rest.u32()?;
        } else {
            let length = rest.length()?;
            rest.take(length.checked_next_multiple_of(4)?)?;
        }
    }
    let is_many = kind & 0x1000 != 0;
    let base = kind & 0xfff;
    let sized = matches!(base, 0x0d | 0x1e | 0x1f | 0x102);
    let fixed = match base {
        5 | 6 | 7 | 0x14 | 0x40 => 8,
        0x48 => 16,
        _ => 4,
    };
    let count = if is_many || sized { rest.length()? } else { 1 };
    let mut first: Option<&[u8]> = None;
    for _ in 0..count.min(MAX_ATTRIBUTES) {
        let value = if sized {
            let length = rest.length()?;
            let padded = rest.take(length.checked_next_multiple_of(4)?)?;
            padded.get(..length)?
        } else {
            rest.take(fixed)?
        };
        first.get_or_insert(value);
    }
    Some(Property { id, kind: base, value: first.unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute_bytes(id: u16, data: &[u8]) -> Vec<u8> {
        let length = u32::try_from(data.len()).unwrap();
        let mut bytes = vec![2];
        bytes.extend(id.to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend(length.to_le_bytes());
        bytes.extend(data);
        bytes.extend([0, 0]);
        bytes
    }

    #[test]
    fn files_and_text_are_found_and_cut_ends_are_borne() {
        let mut file = SIGNATURE.to_vec();
        file.extend([1, 0]);
        file.extend(attribute_bytes(0x8004, b"Plan\0"));
        file.extend(attribute_bytes(0x800c, b"See the file.\0"));
        file.extend(attribute_bytes(0x9002, b""));
        file.extend(attribute_bytes(0x8010, b"vault.txt\0"));
        file.extend(attribute_bytes(0x800f, b"code 9917"));
        let found = parse(&file).unwrap();
        assert_eq!(found.subject, "Plan");
        assert!(matches!(found.body, Some(OutlookBody::Text(text)) if text == "See the file."));
        assert_eq!(found.attachments, [("vault.txt".to_owned(), b"code 9917".to_vec())]);
        for end in 0..file.len() {
            let _ = parse(&file[..end]);
        }
        assert!(parse(b"x").is_none());
    }
}
