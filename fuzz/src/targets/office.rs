//! RTF, OpenDocument, and Office files before 2007.

use std::io::{Cursor, Write as _};

use super::document::{archive, from_file, read, seed};
use crate::Target;

pub(super) const RTF: Target = Target {
    name: "rtf",
    run: rtf,
    seeds: || {
        vec![
            seed("office/rules.rtf"),
            br"{\rtf1\ansi\ansicpg1250{\fonttbl{\f0\fcharset238 A;}}{\stylesheet{\s1 heading 1;}}\pard\s1 a\par\trowd\clvmgf\cellx1\cellx2 \
                b\cell c\cell\row {\footnote d}{\*\annotation e}{\header f}\u-10179?\u-8704?\'e9{\pict\bin3 xyz}}"
                .to_vec(),
        ]
    },
    words: &[
        "{",
        "}",
        "\\",
        "\\par",
        "\\cell",
        "\\row",
        "\\trowd",
        "\\cellx1",
        "\\clvmrg",
        "\\clmrg",
        "\\u-10179?",
        "\\u56832?",
        "\\uc",
        "\\'e9",
        "\\bin9",
        "\\f1",
        "\\fcharset204",
        "\\s1",
        "{\\footnote ",
        "{\\header ",
        "{\\*\\annotation ",
        "{\\*\\x ",
        "{\\fonttbl",
        "{\\stylesheet",
        "\\v",
        "\\v0",
        "\\tab",
        "\\~",
        "\\*",
        "-2147483648",
        "\0",
    ],
};

/// The file gives sound text or an error that is not a crash.
pub fn rtf(input: &[u8]) {
    read("a.rtf", &[&b"{\\rtf1 "[..], input].concat());
}

/// The parts of an OpenDocument text, in the order of an input.
const TEXT: &[&str] = &["content.xml", "styles.xml", "meta.xml"];
const SHEETS: &[&str] = &["content.xml", "styles.xml", "META-INF/manifest.xml"];

pub(super) const ODT: Target = Target {
    name: "odt",
    run: odt,
    seeds: || vec![from_file("office/rules.odt", TEXT), from_file("office/plan2.odp", TEXT)],
    words: &[
        "<text:p>",
        "</text:p>",
        "<text:h text:outline-level=\"99\">",
        "<text:list text:style-name=\"L1\">",
        "<text:list-item>",
        "</text:list>",
        "<text:s text:c=\"99999999\"/>",
        "<text:note>",
        "<table:table>",
        "<table:table-row table:number-rows-repeated=\"99999999\">",
        "<table:table-cell table:number-columns-repeated=\"99999999\">",
        "<draw:frame presentation:class=\"title\">",
        "<draw:page>",
        "<draw:object xlink:href=\"./content.xml\"/>",
        "<office:annotation>",
        "<text:list-level-style-number text:level=\"1\" style:num-format=\"i\"/>",
        "<",
        ">",
        "/>",
        "\0",
    ],
};

/// The parts of a text or presentation, put into an archive, are read or refused.
pub fn odt(input: &[u8]) {
    read("a.odt", &archive(TEXT, input));
}

pub(super) const ODS: Target = Target {
    name: "ods",
    run: ods,
    seeds: || vec![from_file("office/rates.ods", SHEETS), from_file("ledger.ods", SHEETS)],
    words: &[
        "<table:table table:name=\"a\">",
        "</table:table>",
        "<table:table-row table:number-rows-repeated=\"1048576\">",
        "<table:table-cell table:number-columns-repeated=\"16384\" office:value-type=\"float\" office:value=\"1\">",
        "<table:table-cell table:number-columns-spanned=\"16384\" table:number-rows-spanned=\"1048576\">",
        "<table:covered-table-cell/>",
        "<text:p>1</text:p>",
        "table:formula=\"of:=1\"",
        "<office:annotation>",
        "<",
        ">",
        "/>",
        "\0",
    ],
};

/// The parts of a spreadsheet, put into an archive, are read or refused.
pub fn ods(input: &[u8]) {
    read("a.ods", &archive(SHEETS, input));
}

pub(super) const DOC: Target = Target {
    name: "doc",
    run: doc,
    seeds: || {
        let mut main = vec![0; 0x400];
        for (at, bytes) in [(0, &[0xec, 0xa5, 0xc1][..]), (0x4c, &[9][..]), (0x1a6, &[21][..])] {
            main.splice(at..at + bytes.len(), bytes.iter().copied());
        }
        main.extend(b"a\x13b\x14c\x15\x07\x07\r");
        let table = [2, 16, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 8, 0, 0x40, 0, 0];
        vec![parts(&main, &table), seed("office/rules.doc")]
    },
    words: &["\x02", "\x01", "\x13", "\x14", "\x15", "\x07\x07", "\r", "\0\0\0\0", "\0\0\0\x40", "\u{7f}"],
};

/// The streams of a Word document, put into a container, and a file as it is, are
/// read or refused.
pub fn doc(input: &[u8]) {
    let (main, table) = split(input);
    read("a.doc", &compound(&[("WordDocument", main), ("0Table", table)]));
    read("a.doc", input);
}

pub(super) const PPT: Target = Target {
    name: "ppt",
    run: ppt,
    seeds: || {
        let atom = [&[0, 0, 0xa8, 0x0f, 1, 0, 0, 0, b'a'][..]].concat();
        let outer = [&[0x0f, 0, 0x0d, 0xf0, 9, 0, 0, 0][..], &atom[..]].concat();
        let edit = [&[0, 0, 0xf5, 0x0f, 28, 0, 0, 0][..], &[0; 28][..]].concat();
        vec![parts(&[outer, edit].concat(), &[0; 24])]
    },
    words: &[
        "\x0f\0\u{f}\u{f}",
        "\0\0\u{f}",
        "\x0f\0\u{d}",
        "\0\0\0\0",
        "\x01\0\0\0",
        "\x08\0\0\0",
        "a",
        "\0",
    ],
};

/// The streams of a presentation, put into a container, are read or refused.
pub fn ppt(input: &[u8]) {
    let (main, user) = split(input);
    read("a.ppt", &compound(&[("PowerPoint Document", main), ("Current User", user)]));
}

/// Two streams as one input: the length of the first, and both.
fn parts(first: &[u8], second: &[u8]) -> Vec<u8> {
    let length = u16::try_from(first.len()).unwrap();
    [&length.to_le_bytes()[..], first, second].concat()
}

fn split(input: &[u8]) -> (&[u8], &[u8]) {
    let Some((length, rest)) = input.split_first_chunk() else {
        return (input, &[]);
    };
    rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()))
}

fn compound(streams: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = cfb::CompoundFile::create(Cursor::new(Vec::new())).unwrap();
    for (name, bytes) in streams {
        file.create_stream(name).unwrap().write_all(bytes).unwrap();
    }
    file.flush().unwrap();
    file.into_inner().into_inner()
}
