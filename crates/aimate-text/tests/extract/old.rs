//! RTF, OpenDocument, and Office files before 2007.

use std::io::{Cursor, Write};

use aimate_text::extract::{ExtractErrorKind, Extracted, TextKind};

use crate::support::{archive, bytes, read, sheet};

fn document(name: &str) -> Extracted {
    read(name, bytes(&format!("office/{name}"))).unwrap()
}

#[test]
fn word_document_of_before_2007_is_read() {
    let document = document("rules.doc");
    assert_eq!(document.kind, TextKind::Plain);
    for part in
        ["Quay rules", "outer quay – with a pilot.", "Grade\tCity\tRate", "Příbram", "Договор подписан."]
    {
        assert!(document.text.contains(part), "{part}: {}", document.text);
    }
    assert_eq!(document.text.matches("Header or footer: Contract no. ZK-2291").count(), 1);
    assert_eq!(document.media_type, "application/msword");
}

#[test]
fn rich_text_is_markdown() {
    let document = document("rules.rtf");
    assert_eq!(document.title.as_deref(), Some("Quay rules"));
    for part in [
        "# Quay rules\n",
        "outer quay – with a pilot.",
        "- Freight\n- Passengers\n",
        "1. Report\n2. Pay\n",
        "| Grade | City | Rate |\n",
        "| Director | Oslo | 480 |\n| Director | Příbram | 450 |",
        "Договор подписан.",
        "Header: Contract no. ZK-2291",
    ] {
        assert!(document.text.contains(part), "{part}: {}", document.text);
    }
}

#[test]
fn texts_of_opendocument_are_markdown() {
    let document = document("rules.odt");
    for part in [
        "# Quay rules\n",
        "outer quay – with a pilot.",
        "- Freight\n- Passengers\n",
        "1. Report\n2. Pay\n",
        "| Director | Oslo | 480 |\n| Director | Příbram | 450 |",
        "Header: Contract no. ZK-2291",
    ] {
        assert!(document.text.contains(part), "{part}: {}", document.text);
    }
}

#[test]
fn presentations_of_opendocument_have_pages() {
    let document = document("plan2.odp");
    assert_eq!(document.pages.len(), 2);
    assert!(document.text.starts_with("## Harbour plan\n\n"), "{}", document.text);
    for part in ["Deeper basin", "to 14 m", "Notes: Say why 14 m.", "## Costs", "Three million – Příbram"]
    {
        assert!(document.text.contains(part), "{part}: {}", document.text);
    }
}

#[test]
fn spreadsheets_of_opendocument_show_their_values() {
    let document = document("rates.ods");
    assert_eq!(
        document.text,
        "Rates\nGrade: Director; City: Oslo; Rate: 480 [Comment: Agreed in May]; Share: 15.5%; Since: 2024-03-01\n\
         Grade: Director; City: Bergen; Rate: 450; Share: 20.0%; Since: 2024-04-01\n\nOld (hidden sheet)\nItem: Bolt; Price: 1.5"
    );
    assert_eq!(document.warnings.len(), 1);
}

#[test]
fn old_workbooks_have_their_merged_and_hidden_cells() {
    let document = document("rates.xls");
    assert!(document.text.contains("Grade: Director; City: Bergen"), "{}", document.text);
    assert!(document.text.contains("Old (hidden sheet)\nItem: Bolt; Price: 1.5"), "{}", document.text);
}

#[test]
fn old_workbooks_show_values_as_their_program_does() {
    let document = document("formats.xls");
    assert_eq!(
        document.text,
        "Budget\nProject: Mill; Start: 2025-03-14 (14-Mar-25); Share: 15.5%; Cost: 12,500.50 EUR; Owner: Ilse\n\
         Project: Dam; Start: 2025-04-01 (1-Apr-25); Share: 100.0%; Cost: -20.00 EUR; Owner: Tom"
    );
    assert_eq!(
        document.warnings,
        ["1 row and 1 column of the sheet \"Budget\" are hidden in its program; they were read"]
    );
}

#[test]
fn hidden_rows_and_columns_of_opendocument_are_named() {
    let rows = "<table:table-column/><table:table-column table:visibility=\"collapse\" table:number-columns-repeated=\"2\"/>\
        <table:table-row><table:table-cell><text:p>Bolt</text:p></table:table-cell><table:table-cell>\
        <text:p>steel</text:p></table:table-cell></table:table-row>\
        <table:table-row table:visibility=\"filter\" table:number-rows-repeated=\"2\"><table:table-cell>\
        <text:p>Nut</text:p></table:table-cell></table:table-row>\
        <table:table-row table:visibility=\"collapse\" table:number-rows-repeated=\"1000\"><table:table-cell/></table:table-row>";
    let document = read("a.ods", sheet(rows)).unwrap();
    assert_eq!(document.text, "A\nBolt\tsteel\nNut\nNut");
    assert_eq!(
        document.warnings,
        ["2 rows and 1 column of the sheet \"A\" are hidden in its program; they were read"]
    );
}

#[test]
fn numbers_and_notes_of_opendocument_are_read() {
    let content = "<office:document-content xmlns:office=\"o\" xmlns:text=\"t\" xmlns:style=\"s\" xmlns:draw=\"d\" xmlns:dc=\"dc\">\
        <office:automatic-styles><text:list-style style:name=\"L1\"><text:list-level-style-number text:level=\"1\" \
        style:num-format=\"a\" style:num-prefix=\"(\" style:num-suffix=\")\"/><text:list-level-style-number text:level=\"2\" \
        style:num-format=\"1\" style:num-suffix=\".\" text:display-levels=\"2\"/></text:list-style></office:automatic-styles>\
        <office:body><office:text><text:h text:outline-level=\"1\">Scope</text:h><text:list text:style-name=\"L1\">\
        <text:list-item><text:p>one</text:p><text:list><text:list-item><text:p>deep</text:p></text:list-item></text:list>\
        </text:list-item><text:list-item><text:p>two</text:p></text:list-item></text:list>\
        <text:p>See<text:s text:c=\"2\"/>here<text:note text:note-class=\"footnote\"><text:note-citation>1</text:note-citation>\
        <text:note-body><text:p>A note.</text:p></text:note-body></text:note>.<office:annotation><dc:creator>Ilse</dc:creator>\
        <text:p>Check.</text:p></office:annotation></text:p><text:tracked-changes><text:p>gone</text:p></text:tracked-changes>\
        </office:text></office:body></office:document-content>";
    let styles = "<office:document-styles xmlns:office=\"o\" xmlns:text=\"t\" xmlns:style=\"s\"><text:outline-style>\
        <text:outline-level-style text:level=\"1\" style:num-format=\"I\" style:num-suffix=\".\"/></text:outline-style></office:document-styles>";
    let parts: [(&str, &[u8]); 3] = [
        ("mimetype", b"application/vnd.oasis.opendocument.text"),
        ("content.xml", content.as_bytes()),
        ("styles.xml", styles.as_bytes()),
    ];
    assert_eq!(
        read("a.odt", archive(&parts)).unwrap().text,
        "# I. Scope\n\n(a) one\n  a.1. deep\n(b) two\n\nSee  here[^1].\n\nComment (Ilse): Check.\n\n[^1]: A note."
    );
}

#[test]
fn descriptions_and_fields_of_opendocument_are_read() {
    let content = "<office:document-content xmlns:office=\"o\" xmlns:text=\"t\" xmlns:draw=\"d\" xmlns:svg=\"v\"><office:body>\
        <office:text><text:p>On <text:title>Harbours</text:title>:<draw:frame><draw:image/><svg:title>quay.png</svg:title>\
        <svg:desc>A crane over the quay</svg:desc></draw:frame></text:p></office:text></office:body></office:document-content>";
    let parts: [(&str, &[u8]); 2] =
        [("mimetype", b"application/vnd.oasis.opendocument.text"), ("content.xml", content.as_bytes())];
    assert_eq!(read("a.odt", archive(&parts)).unwrap().text, "On Harbours:\n\n![A crane over the quay]()");
}

#[test]
fn encrypted_opendocument_asks_for_its_password() {
    let manifest = b"<manifest:manifest><manifest:file-entry><manifest:encryption-data/></manifest:file-entry></manifest:manifest>";
    let parts: [(&str, &[u8]); 3] = [
        ("mimetype", b"application/vnd.oasis.opendocument.text"),
        ("META-INF/manifest.xml", manifest),
        ("content.xml", b"\x00\x01noise"),
    ];
    assert_eq!(read("a.odt", archive(&parts)).unwrap_err().kind, ExtractErrorKind::Encrypted);
}

/// A compound file with these streams.
fn compound(streams: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = cfb::CompoundFile::create(Cursor::new(Vec::new())).unwrap();
    for (name, bytes) in streams {
        file.create_stream(name).unwrap().write_all(bytes).unwrap();
    }
    file.flush().unwrap();
    file.into_inner().into_inner()
}

fn record(head: u16, kind: u16, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap();
    [&head.to_le_bytes()[..], &kind.to_le_bytes(), &length.to_le_bytes(), content].concat()
}

fn text_box(kind: u32, text: &str) -> Vec<u8> {
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    [record(0, 0x0f9f, &kind.to_le_bytes()), record(0, 0x0fa0, &wide)].concat()
}

/// A presentation of one slide, whose title stands in the outline, with an older
/// version of the slide before it.
fn presentation() -> Vec<u8> {
    let words = |numbers: &[u32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    let mut stream = record(0xf, 0x03ee, &record(0xf, 0xf00d, &text_box(4, "An older version")));
    let slide_at = u32::try_from(stream.len()).unwrap();
    let outline_ref = record(0, 0x0f9e, &words(&[0]));
    let boxes =
        [record(0xf, 0xf00d, &outline_ref), record(0xf, 0xf00d, &text_box(4, "Three million – Příbram"))]
            .concat();
    stream.extend(record(0xf, 0x03ee, &record(0xf, 0x040c, &boxes)));
    let document_at = u32::try_from(stream.len()).unwrap();
    let outline = [record(0, 0x03f3, &words(&[2, 0, 1, 256, 0])), text_box(0, "Costs")].concat();
    stream.extend(record(0xf, 0x03e8, &record(0xf, 0x0ff0, &outline)));
    let places_at = u32::try_from(stream.len()).unwrap();
    stream.extend(record(0, 0x1772, &words(&[1 | 2 << 20, document_at, slide_at])));
    let edit_at = u32::try_from(stream.len()).unwrap();
    stream.extend(record(0, 0x0ff5, &words(&[0, 0, 0, places_at, 1, 2, 0])));
    let user = [record(0, 0x0ff6, &words(&[0x14, 0xe391_c05f])), words(&[edit_at, 0])].concat();
    compound(&[("Current User", &user), ("PowerPoint Document", &stream)])
}

#[test]
fn presentation_of_before_2007_is_read_in_its_newest_version() {
    let document = read("a.ppt", presentation()).unwrap();
    assert_eq!(document.text, "## Costs\n\nThree million – Příbram");
    assert_eq!(document.pages.len(), 1);
    assert!(document.warnings.is_empty());
}

#[test]
fn presentation_without_a_directory_is_read_in_any_order() {
    let stream = record(0xf, 0x03ee, &record(0xf, 0xf00d, &text_box(4, "Lost words")));
    let document = read("a.ppt", compound(&[("PowerPoint Document", &stream)])).unwrap();
    assert_eq!((document.text.as_str(), document.warnings.len()), ("Lost words", 1));
}

#[test]
fn names_of_streams_can_be_in_capitals() {
    let stream = record(0xf, 0x03ee, &record(0xf, 0xf00d, &text_box(4, "Loud words")));
    let document = read("a.ppt", compound(&[("POWERPOINT DOCUMENT", &stream)])).unwrap();
    assert_eq!(document.text, "Loud words");
}

#[test]
fn damaged_old_files_are_damaged() {
    for (name, stream) in [("WordDocument", "a.doc"), ("PowerPoint Document", "a.ppt")] {
        for bytes in [&b""[..], b"\xec\xa5", &[0xff; 600], &[0; 600]] {
            let failure = read(stream, compound(&[(name, bytes)])).unwrap_err();
            assert!(
                matches!(
                    failure.kind,
                    ExtractErrorKind::Damaged
                        | ExtractErrorKind::NoText
                        | ExtractErrorKind::Encrypted
                        | ExtractErrorKind::TooLarge
                ),
                "{failure}"
            );
        }
    }
    let deep = (0..200).fold(Vec::new(), |inner, _| record(0xf, 0x03ee, &inner));
    let failure = read("a.ppt", compound(&[("PowerPoint Document", &deep)])).unwrap_err();
    assert_eq!(failure.kind, ExtractErrorKind::TooLarge);
}

#[test]
fn pieces_that_repeat_are_bounded() {
    // 200,000 pieces that all show the same 16 KiB.
    let mut main = vec![0; 0x400];
    main[..2].copy_from_slice(&0xa5ec_u16.to_le_bytes());
    main[2..4].copy_from_slice(&0xc1_u16.to_le_bytes());
    main[0x4c..0x50].copy_from_slice(&u32::MAX.to_le_bytes());
    main.extend([b'a'; 16 << 10]);
    let count = 200_000_u32;
    let mut table = vec![2];
    table.extend((4 + count * 12).to_le_bytes());
    table.extend((0..=count).flat_map(|number| (number << 14).to_le_bytes()));
    for _ in 0..count {
        table.extend([0, 0]);
        table.extend((0x4000_0000_u32 | 0x800).to_le_bytes());
        table.extend([0, 0]);
    }
    main[0x1a6..0x1aa].copy_from_slice(&u32::try_from(table.len()).unwrap().to_le_bytes());
    let document = read("a.doc", compound(&[("WordDocument", &main), ("0Table", &table)])).unwrap();
    let is_cut = document.warnings.iter().any(|warning| warning.contains("more than 20 MiB of text"));
    assert!(is_cut && document.text.len() <= 20 << 20, "{:?}", document.warnings);
}
