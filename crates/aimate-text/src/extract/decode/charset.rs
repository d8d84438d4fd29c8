//! The encodings of text, by the names that documents give them.

use encoding_rs::{BIG5, EUC_KR, Encoding, GBK, MACINTOSH, REPLACEMENT, SHIFT_JIS, UTF_8, X_MAC_CYRILLIC};
use yore::CodePage;
use yore::code_pages as dos;

use super::{escapes, johab};

/// An encoding: one of the web's, which `encoding_rs` decodes, or an older one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Charset {
    Web(&'static Encoding),
    /// A code page of DOS, by its number.
    Dos(u16),
    Utf32 {
        big: bool,
    },
    Iso2022Kr,
    Iso2022Cn,
    Hz,
    Johab,
    Viscii,
}

impl PartialEq for Charset {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Charset {
    /// The encoding that a document means by `label`.
    pub(super) fn for_label(label: &str) -> Option<Self> {
        let label = label.trim().trim_matches(['"', '\'']).to_ascii_lowercase().replace('_', "-");
        let own = match label.as_str() {
            "iso-2022-kr" | "csiso2022kr" => Self::Iso2022Kr,
            "iso-2022-cn" | "iso-2022-cn-ext" | "csiso2022cn" => Self::Iso2022Cn,
            "hz" | "hz-gb-2312" => Self::Hz,
            "johab" | "cp1361" | "ms1361" | "x-johab" => Self::Johab,
            "viscii" | "csviscii" => Self::Viscii,
            "utf-32" | "utf-32le" | "ucs-4" | "iso-10646-ucs-4" => Self::Utf32 { big: false },
            "utf-32be" => Self::Utf32 { big: true },
            "utf8" | "cp65001" | "utf-8-sig" => Self::Web(UTF_8),
            "cp932" | "ms-kanji" | "cp943" => Self::Web(SHIFT_JIS),
            "cp936" | "ms936" | "windows-936" | "gb2312-80" => Self::Web(GBK),
            "cp949" | "ms949" | "uhc" | "ks-c-5601" => Self::Web(EUC_KR),
            "cp950" | "ms950" | "windows-950" => Self::Web(BIG5),
            "mac-roman" | "macroman" => Self::Web(MACINTOSH),
            "mac-cyrillic" | "maccyrillic" => Self::Web(X_MAC_CYRILLIC),
            // What writers say who do not know.
            "unknown-8bit" | "unknown" | "x-unknown" | "8bit" | "default" | "x-user-defined" | "" => {
                return None;
            }
            other => Self::by_number(other).or_else(|| Self::of_the_web(other))?,
        };
        Some(own)
    }

    fn of_the_web(label: &str) -> Option<Self> {
        let forms = [label.to_owned(), label.replace('-', "_"), label.replacen("iso8859", "iso-8859", 1)];
        let found = forms.iter().find_map(|label| Encoding::for_label(label.as_bytes()))?;
        (found != REPLACEMENT).then_some(Self::Web(found))
    }

    /// `ibm855`, `cp855`, `dos-855`, `855`.
    fn by_number(label: &str) -> Option<Self> {
        let number = label.trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == '-');
        let number: u16 = number.parse().ok()?;
        match number {
            // The web has these two.
            866 => Encoding::for_label(b"ibm866").map(Self::Web),
            874 => Encoding::for_label(b"windows-874").map(Self::Web),
            number => code_page(number).map(|_| Self::Dos(number)),
        }
    }

    pub(super) fn name(self) -> String {
        match self {
            Self::Web(encoding) => encoding.name().to_ascii_lowercase(),
            Self::Dos(number) => format!("ibm{number}"),
            Self::Utf32 { big } => format!("utf-32{}", if big { "be" } else { "le" }),
            Self::Iso2022Kr => "iso-2022-kr".to_owned(),
            Self::Iso2022Cn => "iso-2022-cn".to_owned(),
            Self::Hz => "hz-gb-2312".to_owned(),
            Self::Johab => "johab".to_owned(),
            Self::Viscii => "viscii".to_owned(),
        }
    }

    /// The characters of `bytes`, and whether some bytes were none.
    pub(super) fn decode(self, bytes: &[u8]) -> (String, bool) {
        match self {
            Self::Web(encoding) => {
                let (text, had_errors) = encoding.decode_without_bom_handling(bytes);
                (text.into_owned(), had_errors)
            }
            Self::Dos(number) => {
                let page = code_page(number).unwrap_or(&dos::CP437);
                checked(page.decode_lossy(bytes).into_owned())
            }
            Self::Utf32 { big } => utf32(bytes, big),
            Self::Iso2022Kr => checked(escapes::iso2022_kr(bytes)),
            Self::Iso2022Cn => checked(escapes::iso2022_cn(bytes)),
            Self::Hz => checked(escapes::hz(bytes)),
            Self::Johab => checked(johab::decode(bytes)),
            Self::Viscii => single_bytes(bytes, viscii),
        }
    }
}

fn checked(text: String) -> (String, bool) {
    let had_errors = text.contains(char::REPLACEMENT_CHARACTER);
    (text, had_errors)
}

fn single_bytes(bytes: &[u8], character: impl Fn(u8) -> Option<char>) -> (String, bool) {
    let table: Vec<char> =
        (0..=u8::MAX).map(|byte| character(byte).unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    checked(bytes.iter().filter_map(|byte| table.get(usize::from(*byte))).collect())
}

/// The code pages of DOS that the web does not know.
fn code_page(number: u16) -> Option<&'static dyn CodePage> {
    Some(match number {
        437 => &dos::CP437,
        737 => &dos::CP737,
        850 | 858 => &dos::CP850,
        852 => &dos::CP852,
        855 => &dos::CP855,
        857 => &dos::CP857,
        860 => &dos::CP860,
        861 => &dos::CP861,
        862 => &dos::CP862,
        863 => &dos::CP863,
        864 => &dos::CP864,
        865 => &dos::CP865,
        869 => &dos::CP869,
        _ => return None,
    })
}

fn utf32(bytes: &[u8], big: bool) -> (String, bool) {
    let (units, rest) = bytes.as_chunks::<4>();
    let text = units.iter().map(|unit| {
        let value = if big { u32::from_be_bytes(*unit) } else { u32::from_le_bytes(*unit) };
        char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER)
    });
    let (text, had_errors) = checked(text.collect());
    (text, had_errors || !rest.is_empty())
}

/// RFC 1456: Vietnamese letters at the places of six control characters and of
/// all upper bytes.
fn viscii(byte: u8) -> Option<char> {
    const UPPER: &str = "ẠẮẰẶẤẦẨẬẼẸẾỀỂỄỆỐỒỔỖỘỢỚỜỞỊỎỌỈỦŨỤỲÕắằặấầẩậẽẹếềểễệốồổỗỠƠộờởịỰỨỪỬơớƯÀÁÂÃẢĂẳẵÈÉÊẺÌÍĨỳĐứÒÓÔạỷừửÙÚỹỵÝỡưàáâãảăữẫèéêẻìíĩỉđựòóôõỏọụùúũủýợỮ";
    match byte {
        0x02 => Some('Ẳ'),
        0x05 => Some('Ẵ'),
        0x06 => Some('Ẫ'),
        0x14 => Some('Ỷ'),
        0x19 => Some('Ỹ'),
        0x1e => Some('Ỵ'),
        0..=127 => Some(char::from(byte)),
        128.. => UPPER.chars().nth(usize::from(byte - 128)),
    }
}
