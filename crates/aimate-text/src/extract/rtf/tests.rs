use super::*;
use crate::extract::ExtractErrorKind;

fn text(rtf: &str) -> String {
    let document = read(rtf.as_bytes(), &Limits::default()).unwrap();
    document.text
}

#[test]
fn paragraphs_are_read_in_their_encodings() {
    let rtf = r"{\rtf1\ansi\ansicpg1250\deff0{\fonttbl{\f0\fcharset238 Arial;}{\f1\fcharset204 Arial CYR;}}
{\*\generator x;}{\info{\title Z\'e1kon}{\author A}}\pard\f0 P\'f8\'edloha\par {\f1\'c4\'ee\'e3\'ee\'e2\'ee\'f0}\par
\u321?\u-257?\uc2\u8211 \'96\'96 \uc0\u55357\u56832 end\par}";
    assert_eq!(text(rtf), "Příloha\n\nДоговор\n\nŁ– 😀end");
    assert_eq!(read(rtf.as_bytes(), &Limits::default()).unwrap().title.as_deref(), Some("Zákon"));
}

#[test]
fn tables_and_lists_are_markdown() {
    let rtf = r"{\rtf1\ansi\trowd\cellx1\cellx2\intbl Ship\cell Tons\cell\row\trowd\cellx1\cellx2\intbl Aurora\cell 4\par 5\cell\row
\pard After\par{\listtext\'b7\tab}One\par{\listtext\'b7\tab}Two\par{\listtext 2.1\tab}Deep\par}";
    assert_eq!(
        text(rtf),
        "| Ship | Tons |\n| --- | --- |\n| Aurora | 4 5 |\n\nAfter\n\n- One\n- Two\n2.1 Deep"
    );
}

#[test]
fn merged_cells_are_repeated_on_their_rows() {
    let rtf = r"{\rtf1\trowd\clvmgf\cellx1\cellx2 Director\cell Oslo\cell\row\trowd\clvmrg\cellx1\cellx2\cell Bergen\cell\row}";
    assert_eq!(text(rtf), "| Director | Oslo |\n| --- | --- |\n| Director | Bergen |");
}

#[test]
fn headings_notes_comments_and_edges_are_read_once() {
    let rtf = r"{\rtf1{\stylesheet{\s0 Normal;}{\s1 heading 1;}}{\header Contract no. ZK-2291\par}{\footer Page 1\par}
\pard\s1 Scope\par\pard Text{\super\chftn{\footnote\chftn The note.}} here{\*\atnauthor Ilse}{\*\annotation Check it.}.\par}";
    assert_eq!(
        text(rtf),
        "# Scope\n\nText[^1] here.\n\nComment (Ilse): Check it.\n\n[^1]: The note.\n\nHeader: Contract no. ZK-2291"
    );
}

#[test]
fn what_is_hidden_or_binary_is_left_out() {
    let rtf = "{\\rtf1 a{\\v no}{\\deleted no}{\\pict\\bin6 }}}}}}}{\\field{\\*\\fldinst HYPERLINK x}{\\fldrslt b}}{\\*\\x no}\\\\\\{c\\}}";
    let document = read(rtf.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(document.text, "ab\\{c}");
    assert_eq!(document.warnings.len(), 1);
}

#[test]
fn asterisk_within_a_group_hides_nothing() {
    assert_eq!(text(r"{\rtf1{\*\x no}{\b0\*\cs7 The quick fox}\par}"), "The quick fox");
}

#[test]
fn hostile_files_are_bounded() {
    let limits = Limits::default();
    let kind = |text: &str| read(text.as_bytes(), &limits).unwrap_err().kind;
    assert_eq!(kind(&format!("{{\\rtf1 {}", "{".repeat(100_000))), ExtractErrorKind::TooLarge);
    assert_eq!(kind("{\\rtf1}"), ExtractErrorKind::NoText);
    assert_eq!(kind("no"), ExtractErrorKind::Damaged);
    assert_eq!(text("{\\rtf1 x\\bin2147483647 y"), "x");
    assert_eq!(text("{\\rtf1 x\\'z\\u\\uc-9\\"), "x?z\0".replace('\0', ""));
    let cells = read(format!("{{\\rtf1 x{}\\row}}", "a\\cell".repeat(5_000)).as_bytes(), &limits).unwrap();
    assert!(cells.text.contains('a'));
}
