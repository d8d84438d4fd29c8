use aimate_text::extract::{Limits, TextKind};

use crate::support::{bytes, read, read_with};

const IBM855: &[u8] = b"\xe4\xa8\xac\xd6\xa6\xd4\xde \xb5\xd6\xe1\xd6\xf5\xa0\xde \xd8\xd6\xac\xd6\xa6\xa0, \xb7 \xd2\xf1 \xb7\xa6\xa8\xd2 \xac\xe7\xd0\xde\xe5\xed \xeb \xd8\xa0\xe1\xc6. \xec\xa8\xfb\xa8\xe1\xd6\xd2 \xa2\xe7\xa6\xa8\xe5 \xa6\xd6\xe9\xa6\xed, \xa0 \xf3\xa0\xeb\xe5\xe1\xa0 \xd8\xe1\xb7\xa6\xa8\xe5 \xf3\xb7\xd2\xa0.";
const MAC_CYRILLIC: &[u8] = b"\x91\xe5\xe3\xee\xe4\xed\xdf \xf5\xee\xf0\xee\xf8\xe0\xdf \xef\xee\xe3\xee\xe4\xe0, \xe8 \xec\xfb \xe8\xe4\xe5\xec \xe3\xf3\xeb\xdf\xf2\xfc \xe2 \xef\xe0\xf0\xea. \x82\xe5\xf7\xe5\xf0\xee\xec \xe1\xf3\xe4\xe5\xf2 \xe4\xee\xe6\xe4\xfc, \xe0 \xe7\xe0\xe2\xf2\xf0\xe0 \xef\xf0\xe8\xe4\xe5\xf2 \xe7\xe8\xec\xe0.";
const JOHAB: &[u8] = b"\xb5\xa1\x93i\xb7e \x90i\xb3\xa1\x88a \xb9\xbd\xb4a\xac\xe1 \x89\xb7\xb6\xa5\xb5A \x88a\x9da\x89\xa1 \xd0s\x93\xa1\x94a. \xb8\xe1\x91b\xb5A\x93e \xa7\xa1\x88a \xb5\xa9 \x88\xf5\xb7\xa1\x9ca\x89\xa1 \xd0s\x93\xa1\x94a.";

/// The text of a file of these bytes, and its warnings.
fn text_of(name: &str, bytes: impl AsRef<[u8]>) -> (String, Vec<String>) {
    let document = read(name, bytes).unwrap();
    (document.text, document.warnings)
}

#[test]
fn japanese_of_seven_bits_is_read() {
    let (text, warnings) = text_of("iso2022jp.txt", bytes("iso2022jp.txt"));
    assert_eq!(text, "契約は四月一日に始まります。家賃は毎月五日までに払います。");
    assert!(warnings.is_empty(), "{warnings:?}");
    let page = [b"<html><body><p>".as_slice(), &bytes("iso2022jp.txt"), b"</p></body></html>"].concat();
    assert!(text_of("a.html", page).0.starts_with("契約は四月一日"));
}

#[test]
fn old_cyrillic_is_read() {
    let text = "Сегодня хорошая погода, и мы идем гулять в парк. Вечером будет дождь, а завтра придет зима.";
    for (page, name) in [(IBM855, "ibm855"), (MAC_CYRILLIC, "x-mac-cyrillic")] {
        let (found, warnings) = text_of("a.txt", page);
        assert_eq!(found, text, "{name}");
        assert_eq!(warnings, [format!("the text was not UTF-8; read as {name}")]);
    }
}

#[test]
fn korean_by_letters_is_read() {
    let (found, warnings) = text_of("a.txt", JOHAB);
    assert_eq!(found, "오늘은 날씨가 좋아서 공원에 가려고 합니다. 저녁에는 비가 올 것이라고 합니다.");
    assert_eq!(warnings, ["the text was not UTF-8; read as johab"]);
}

#[test]
fn wide_characters_without_a_mark_are_read() {
    let text = "Договор начинается первого апреля.\nПлата до пятого числа.";
    let of16 = |big: bool| -> Vec<u8> {
        text.encode_utf16()
            .flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() })
            .collect()
    };
    let of32 = |big: bool| -> Vec<u8> {
        text.chars()
            .flat_map(|c| if big { u32::from(c).to_be_bytes() } else { u32::from(c).to_le_bytes() })
            .collect()
    };
    for bytes in [of16(false), of16(true), of32(false), of32(true)] {
        for name in ["a.txt", "a"] {
            assert_eq!(text_of(name, &bytes), (text.to_owned(), vec![]), "{:?}", &bytes[..8]);
        }
    }
    let marked = [&[0xff, 0xfe, 0, 0][..], &of32(false)].concat();
    assert_eq!(text_of("a.txt", marked), (text.to_owned(), vec![]));
}

#[test]
fn encoding_that_a_text_names_is_believed_unless_it_cannot_be() {
    let xml = b"<?xml version=\"1.0\" encoding=\"windows-1251\"?>\n<a>\xc4\xee\xe3\xee\xe2\xee\xf0</a>";
    assert_eq!(text_of("a.xml", xml).0, "<?xml version=\"1.0\" encoding=\"windows-1251\"?>\n<a>Договор</a>");
    let source = b"# -*- coding: koi8-r -*-\nname = '\xe4\xcf\xc7\xcf\xd7\xcf\xd2'\n";
    assert_eq!(text_of("a.py", source).0, "# -*- coding: koi8-r -*-\nname = 'Договор'");
    // It says UTF-8, and is none.
    let page = b"<html><head><meta charset=utf-8></head><body><p>caf\xe9 au lait, d\xe9j\xe0 vu, \xe0 la carte</p></body></html>";
    assert_eq!(text_of("a.html", page).0, "café au lait, déjà vu, à la carte");
}

#[test]
fn text_with_a_few_letters_of_dos_or_mac_is_read() {
    assert_eq!(
        text_of("a.txt", b"Men\x81 des Caf\x82s: cr\x8ape et th\x82 \x85 midi").0,
        "Menü des Cafés: crèpe et thé à midi"
    );
    assert_eq!(
        text_of("a.txt", b"Le caf\x8e ouvre \x88 midi, la cr\x8fpe est pr\x90te").0,
        "Le café ouvre à midi, la crèpe est prête"
    );
}

#[test]
fn long_texts_are_cut_with_a_warning() {
    let limits = Limits::default().output(1_000);
    for (name, kind) in [("a.txt", TextKind::Plain), ("a.md", TextKind::Markdown), ("a.rs", TextKind::Code)] {
        let document = read_with(name, "wörter\n".repeat(10_000).as_bytes(), &limits).unwrap();
        assert_eq!(document.kind, kind);
        assert!(
            document.text.len() <= 1_000 && document.text.len() > 900 && document.text.ends_with("wörter")
        );
        assert_eq!(
            document.warnings,
            [
                "the document has more than 1000 bytes of text, the most that is read of one; the rest is left out: split it"
            ]
        );
    }
    for name in ["a.csv", "a.jsonl", "a.html"] {
        let line = match name {
            "a.jsonl" => "{\"a\": 1}\n",
            "a.csv" => "name,1\n",
            _ => "<p>word</p>\n",
        };
        let document = read_with(name, line.repeat(10_000).as_bytes(), &limits);
        if name == "a.csv" {
            let document = document.unwrap();
            assert!(document.text.len() <= 1_000, "{name}");
            assert!(
                document.warnings.iter().any(|warning| warning.contains("the rest is left out")),
                "{name}"
            );
        }
    }
}
