//! Outlook's files of one message (`.msg`, MS-OXMSG): streams of properties in an OLE
//! container.

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use cfb::CompoundFile;

use super::super::decode::decode_text;
use super::super::document::Extracted;
use super::super::error;
use super::super::error::ExtractError;
use super::super::limits::Limits;
use super::super::media;
use super::item::{Item, Section};
use super::mapi::{OutlookBody, decompress, wide};
use super::message::{ReadAttached, Reader};

type Container<'a> = CompoundFile<Cursor<&'a [u8]>>;

pub(in super::super) fn read(
    bytes: &[u8],
    read_attached: ReadAttached,
    limits: &Limits,
) -> Result<Extracted, ExtractError> {
    let damaged = |failure: std::io::Error| error::damaged("Outlook message", failure);
    let container = CompoundFile::open(Cursor::new(bytes)).map_err(damaged)?;
    let mut reader = Reader::new(read_attached, limits);
    let mut file = MessageFile { container, reader: &mut reader };
    let section = file.message(Path::new("/"), 0);
    reader.finish(&[section], media::MSG)
}

struct MessageFile<'a, 'b, 'c> {
    container: Container<'a>,
    reader: &'b mut Reader<'c>,
}

impl MessageFile<'_, '_, '_> {
    /// The message in a folder of the container.
    fn message(&mut self, folder: &Path, depth: usize) -> Section {
        let code_page = self.number(folder, 0x3ffd).or_else(|| self.number(folder, 0x3fde));
        let code_page = code_page.map(|number| number as u32);
        let mut text = |id: u16| self.text(folder, id, code_page).unwrap_or_default();
        let person = |name: String, address: String| match (name.is_empty(), address.contains('@')) {
            (false, true) if name != address => format!("{name} <{address}>"),
            (true, _) => address,
            (false, _) => name,
        };
        let subject = text(0x0037);
        let address =
            Some(text(0x5d01)).filter(|address| !address.is_empty()).unwrap_or_else(|| text(0x0c1f));
        let mut headers =
            vec![("From", person(text(0x0c1a), address)), ("To", text(0x0e04)), ("Cc", text(0x0e03))];
        let people = self.recipients(folder, code_page);
        // The field shows names alone, and drafts have none.
        if let Some(to) = headers.iter_mut().find(|(label, _)| *label == "To")
            && !people.is_empty()
            && !to.1.contains('@')
        {
            to.1 = people;
        }
        let sent = self.number(folder, 0x0039).or_else(|| self.number(folder, 0x0e06));
        if let Some(time) = sent.and_then(date) {
            headers.push(("Date", time));
        }
        let mut items: Vec<Item> = Vec::new();
        if let Some(body) = self.body(folder, code_page) {
            items.extend(self.reader.body(body));
        }
        for attached in self.folders(folder, "__attach_version1.0_") {
            self.attachment(&attached, depth, code_page, &mut items);
        }
        Section { subject, headers, items }
    }

    fn body(&mut self, folder: &Path, code_page: Option<u32>) -> Option<OutlookBody> {
        let plain = self.text(folder, 0x1000, code_page).filter(|text| !text.trim().is_empty());
        if let Some(text) = plain {
            return Some(OutlookBody::Text(text));
        }
        if let Some(html) = self.stream(&folder.join("__substg1.0_10130102")).filter(|html| !html.is_empty())
        {
            return Some(OutlookBody::Html(html));
        }
        if let Some(html) = self.text(folder, 0x1013, code_page).filter(|html| !html.trim().is_empty()) {
            return Some(OutlookBody::Html(html.into_bytes()));
        }
        let rtf = self.stream(&folder.join("__substg1.0_10090102"))?;
        decompress(&rtf).map(OutlookBody::Rtf)
    }

    fn attachment(&mut self, folder: &Path, depth: usize, code_page: Option<u32>, items: &mut Vec<Item>) {
        let mut name = String::new();
        // Its long name, its short one, what is shown.
        for id in [0x3707, 0x3704, 0x3001] {
            if name.is_empty() {
                name = self.text(folder, id, code_page).unwrap_or_default();
            }
        }
        let inner = folder.join("__substg1.0_3701000D");
        if self.container.is_storage(&inner) {
            if self.container.is_stream(inner.join("__properties_version1.0")) && self.reader.may_nest(depth)
            {
                let section = self.message(&inner, depth + 1);
                items.push(Item::Message(section));
            } else {
                items.push(Item::Unread { name, reason: "of a kind that is not read" });
            }
            return;
        }
        let name = if name.is_empty() { "unnamed".to_owned() } else { name };
        match self.stream(&folder.join("__substg1.0_37010102")) {
            Some(bytes) => self.reader.file(&name, None, bytes, depth, items),
            None => items.push(Item::Unread { name, reason: "kept elsewhere" }),
        }
    }

    fn recipients(&mut self, folder: &Path, code_page: Option<u32>) -> String {
        let mut people = Vec::new();
        for recipient in self.folders(folder, "__recip_version1.0_").into_iter().take(50) {
            // 1 is "To".
            if self.number(&recipient, 0x0c15).is_some_and(|kind| kind as u32 != 1) {
                continue;
            }
            let name = self.text(&recipient, 0x3001, code_page).unwrap_or_default();
            let address =
                self.text(&recipient, 0x39fe, code_page).or_else(|| self.text(&recipient, 0x3003, code_page));
            let address = address.unwrap_or_default();
            people.push(match (name.is_empty() || name == address, address.contains('@')) {
                (false, true) => format!("{name} <{address}>"),
                (false, false) => name,
                (true, _) => address,
            });
        }
        people.retain(|person| !person.is_empty());
        people.join(", ")
    }

    /// The folders in a folder whose names begin so, in their order.
    fn folders(&self, folder: &Path, prefix: &str) -> Vec<PathBuf> {
        let Ok(entries) = self.container.read_storage(folder) else {
            return Vec::new();
        };
        let wanted = entries.filter(|entry| entry.is_storage() && entry.name().starts_with(prefix));
        let mut found: Vec<PathBuf> = wanted.map(|entry| entry.path().to_owned()).collect();
        found.sort();
        found
    }

    fn stream(&mut self, path: &Path) -> Option<Vec<u8>> {
        if !self.container.is_stream(path) {
            return None;
        }
        let mut bytes = Vec::new();
        self.container.open_stream(path).ok()?.read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    fn text(&mut self, folder: &Path, id: u16, code_page: Option<u32>) -> Option<String> {
        if let Some(bytes) = self.stream(&folder.join(format!("__substg1.0_{id:04X}001F"))) {
            return Some(wide(&bytes));
        }
        let bytes = self.stream(&folder.join(format!("__substg1.0_{id:04X}001E")))?;
        let label = code_page.map(|number| match number {
            65_001 => "utf-8".to_owned(),
            20_127 => "us-ascii".to_owned(),
            28_591..=28_605 => format!("iso-8859-{}", number - 28_590),
            50_220..=50_222 => "iso-2022-jp".to_owned(),
            51_949 => "euc-kr".to_owned(),
            51_932 => "euc-jp".to_owned(),
            54_936 => "gb18030".to_owned(),
            20_866 => "koi8-r".to_owned(),
            1_250..=1_258 => format!("windows-{number}"),
            other => format!("cp{other}"),
        });
        Some(decode_text(&bytes, label.as_deref()).0.trim_end_matches('\0').to_owned())
    }

    /// A property of a fixed size. How long the header of the list is depends on whose
    /// list it is.
    fn number(&mut self, folder: &Path, id: u16) -> Option<u64> {
        let bytes = self.stream(&folder.join("__properties_version1.0"))?;
        let header = match folder.file_name().map(|name| name.to_string_lossy()) {
            None => 32,
            Some(name) if name.starts_with("__recip") => 8,
            Some(_) => 24,
        };
        let (entries, _) = bytes.get(header..)?.as_chunks::<16>();
        let entry = entries.iter().find(|entry| entry.get(2..4) == Some(&id.to_le_bytes()))?;
        entry.get(8..)?.try_into().ok().map(u64::from_le_bytes)
    }
}

/// A time in tenths of microseconds since 1601.
fn date(ticks: u64) -> Option<String> {
    let seconds = i64::try_from(ticks / 10_000_000).ok()? - 11_644_473_600;
    (seconds > 0).then(|| mail_parser::DateTime::from_timestamp(seconds).to_rfc3339())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_of_the_calendar() {
        assert_eq!(date(133_537_248_000_000_000).as_deref(), Some("2024-03-01T00:00:00Z"));
    }
}
