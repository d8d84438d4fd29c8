//! Office files that were read wrongly: the smallest of each kind.

use aimate_text::extract::Extracted;

use crate::support::{archive, assert_sound, bytes, read, word};

fn document(name: &str) -> Extracted {
    let document = read(name, bytes(&format!("office/{name}"))).unwrap();
    assert_sound(&document);
    document
}

fn text(name: &str) -> String {
    document(name).text
}

#[test]
fn chart_sheet_does_not_refuse_the_workbook() {
    assert_eq!(text("chartsheet.xlsx"), "Month: May; Sales: 10\nMonth: June; Sales: 20");
}

#[test]
fn first_record_is_no_header() {
    assert_eq!(text("no-header.xlsx"), "Ilse\tBruges\nTom\tGhent\nAnn\tLier");
    assert_eq!(text("no-header.csv"), "Ilse\tBruges\tteacher\nTom\tGhent\tbaker\nAnn\tLier\tnurse");
}

#[test]
fn tables_of_one_sheet_have_their_own_headers() {
    assert_eq!(text("two-tables-one-sheet.xlsx"), "Name: Ilse; City: Bruges\nMachine: Lathe; Power: 4 kW");
}

#[test]
fn sheets_are_headings_of_their_rows() {
    let document = document("sheet-names.xlsx");
    assert_eq!(document.text, "Q1\nItem: Bolt; Price: 1.5\n\nQ2\nItem: Bolt; Price: 1.75");
    let headings: Vec<_> = document.headings.iter().map(|heading| heading.title.as_str()).collect();
    assert_eq!(headings, ["Q1", "Q2"]);
    assert_eq!(document.title, None);
}

#[test]
fn years_are_the_names_of_columns() {
    let text = text("year-columns.xlsx");
    assert!(text.contains("Country: Country41; 2021: 123; 2022: 124; 2023: 125"), "{text}");
}

#[test]
fn merged_values_stand_on_each_of_their_rows() {
    assert_eq!(
        text("merged-rows.xlsx"),
        "Grade: Director; City: Taiyuan; Rate: 480\nGrade: Director; City: Datong; Rate: 450\n\
         Grade: Staff; City: Taiyuan; Rate: 350\nGrade: Staff; City: Datong; Rate: 320"
    );
    let word = text("merged-cells.docx");
    assert!(word.contains("| 1-1 |  | 1-2 | 1-3 | 1-4 |\n"), "{word}");
    assert!(word.contains("| Director | Taiyuan | 480 |\n| Director | Others | 350 |"), "{word}");
    let rows = text("rowspan.html");
    assert!(rows.contains("| Director | Datong | 450 |"), "{rows}");
    let columns = text("colspan.html");
    assert!(columns.contains("| Region | Spring |  | Autumn |  |"), "{columns}");
}

#[test]
fn values_are_shown_as_in_the_program() {
    let document = document("number-formats.xlsx");
    assert_eq!(
        document.text,
        "Budget2025\nProject: Mill [Comment (x): Approved by the board on 2 May]; Start: 2025-03-14; Share: 15.5%; \
         Cost: 12,500.50 EUR; Phone: 0049301234; Time: 08:30; Active: TRUE\nProject: Dam; Start: 2025-04-01; \
         Share: 100.0%; Cost: 0.00 EUR; Phone: 0031201234; Time: 17:05; Active: FALSE\n\n\
         Hidden (hidden sheet)\nSecret\tWord\nalpha\tomega\n\nFormulas\na: 1; b: 2; sum: =A2+B2"
    );
    assert_eq!(
        document.warnings,
        [
            "the sheet \"Hidden\" is hidden in its program; it was read",
            "1 formulas have no stored value and are written as they are; open the file in its program, which works \
             them out, and save it"
        ]
    );
}

#[test]
fn hidden_rows_and_columns_are_read_and_named() {
    let kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet";
    let relations = format!(
        "<Relationships><Relationship Id=\"a\" Type=\"{kind}\" Target=\"sheet.xml\"/></Relationships>"
    );
    let cell =
        |place: &str, text: &str| format!("<c r=\"{place}\" t=\"inlineStr\"><is><t>{text}</t></is></c>");
    let rows = [
        ("", vec![cell("A1", "Bolt"), cell("C1", "steel")]),
        // A filter took it out.
        ("hidden=\"1\"", vec![cell("A2", "Nut"), cell("B2", "brass")]),
        ("hidden=\"true\"", vec![]),
        ("hidden=\"0\"", vec![cell("A4", "Nail")]),
    ];
    let rows: String = (1..)
        .zip(&rows)
        .map(|(row, (look, cells))| format!("<row r=\"{row}\" {look}>{}</row>", cells.concat()))
        .collect();
    let sheet = format!(
        "<worksheet><cols><col min=\"1\" max=\"1\" width=\"8\"/><col min=\"2\" max=\"5\" hidden=\"1\"/></cols>\
         <sheetData>{rows}</sheetData></worksheet>"
    );
    let file = archive(&[
        ("xl/workbook.xml", b"<workbook><sheets><sheet name=\"Stock\" r:id=\"a\"/></sheets></workbook>"),
        ("xl/_rels/workbook.xml.rels", relations.as_bytes()),
        ("xl/sheet.xml", sheet.as_bytes()),
    ]);
    let document = read("a.xlsx", file).unwrap();
    assert_eq!(document.text, "Stock\nBolt\t\tsteel\nNut\tbrass\nNail");
    assert_eq!(
        document.warnings,
        ["1 row and 2 columns of the sheet \"Stock\" are hidden in its program; they were read"]
    );
}

#[test]
fn clauses_have_the_numbers_that_word_shows() {
    assert_eq!(
        text("outline-numbering.docx"),
        "3 Termination\n  3.1 Notice period\n\nThree months.\n\n  3.2 Form\n\nIn writing.\n\n4 Liability\n  4.1 Ceiling"
    );
    assert_eq!(
        text("letter-list.docx"),
        "Legal text with letter list:\n\n(a) the seller pays\n(b) the buyer waits\n  (i) in the rain\n  \
         (ii) in the shop\n(c) the porter sleeps"
    );
}

#[test]
fn headers_and_footers_are_read_once() {
    assert_eq!(
        text("header-footer.docx"),
        "The supplier delivers within ten days.\n\nHeader: Contract no. ZK-2291 between Alder Ltd and Birch AG\n\n\
         Footer: Version 7 of 3 May"
    );
}

#[test]
fn comments_follow_what_they_are_on() {
    assert_eq!(
        text("comment.docx"),
        "The penalty clause applies.\n\nComment (Reviewer): Legal: the ceiling of the penalty is 5000 crowns."
    );
}

#[test]
fn charts_tell_their_figures() {
    let text = text("chart.pptx");
    assert!(text.contains("Revenue by region: North 19.2, South 21.4"), "{text}");
}

#[test]
fn equations_are_a_line_of_text() {
    assert_eq!(text("equation.docx"), "The area is (a+b)/2 h^2");
}

#[test]
fn numbers_of_headings_come_from_their_styles() {
    let styles = "<w:styles xmlns:w=\"w\"><w:style w:styleId=\"H1\"><w:name w:val=\"heading 1\"/><w:pPr><w:numPr>\
                  <w:numId w:val=\"1\"/></w:numPr></w:pPr></w:style><w:style w:styleId=\"H2\"><w:name w:val=\"heading 2\"/>\
                  <w:pPr><w:numPr><w:ilvl w:val=\"1\"/><w:numId w:val=\"1\"/></w:numPr></w:pPr></w:style></w:styles>";
    let numbering = "<w:numbering xmlns:w=\"w\"><w:abstractNum w:abstractNumId=\"5\">\
                     <w:lvl w:ilvl=\"0\"><w:start w:val=\"1\"/><w:numFmt w:val=\"upperRoman\"/><w:lvlText w:val=\"Article %1.\"/><w:pStyle w:val=\"H1\"/></w:lvl>\
                     <w:lvl w:ilvl=\"1\"><w:start w:val=\"1\"/><w:isLgl/><w:lvlText w:val=\"%1.%2\"/><w:pStyle w:val=\"H2\"/></w:lvl></w:abstractNum>\
                     <w:num w:numId=\"1\"><w:abstractNumId w:val=\"5\"/></w:num>\
                     <w:num w:numId=\"2\"><w:abstractNumId w:val=\"5\"/><w:lvlOverride w:ilvl=\"0\"><w:startOverride w:val=\"9\"/>\
                     </w:lvlOverride></w:num></w:numbering>";
    let kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/";
    let relations = format!(
        "<Relationships><Relationship Id=\"a\" Type=\"{kind}styles\" Target=\"styles.xml\"/>\
         <Relationship Id=\"b\" Type=\"{kind}numbering\" Target=\"numbering.xml\"/></Relationships>"
    );
    let paragraph = |style: &str, text: &str, list: &str| {
        format!("<w:p><w:pPr><w:pStyle w:val=\"{style}\"/>{list}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>")
    };
    let none = "<w:numPr><w:numId w:val=\"0\"/></w:numPr>";
    let other = "<w:numPr><w:ilvl w:val=\"0\"/><w:numId w:val=\"2\"/></w:numPr>";
    let body: String = [
        paragraph("H1", "Scope", ""),
        paragraph("H2", "Places", ""),
        paragraph("H2", "Times", ""),
        paragraph("H1", "Preface", none),
        paragraph("H1", "Price", ""),
        paragraph("H2", "Rates", ""),
        paragraph("H1", "Annex", other),
    ]
    .concat();
    let text = format!("<w:document xmlns:w=\"w\"><w:body>{body}</w:body></w:document>");
    let file = archive(&[
        ("word/document.xml", text.as_bytes()),
        ("word/styles.xml", styles.as_bytes()),
        ("word/numbering.xml", numbering.as_bytes()),
        ("word/_rels/document.xml.rels", relations.as_bytes()),
    ]);
    assert_eq!(
        read("a.docx", file).unwrap().text,
        "# Article I. Scope\n\n## 1.1 Places\n\n## 1.2 Times\n\n# Preface\n\n# Article II. Price\n\n## 2.1 Rates\n\n\
         # Article IX. Annex"
    );
}

#[test]
fn old_properties_of_a_changed_paragraph_are_not_its_own() {
    let body = "<w:p><w:pPr><w:pPrChange><w:pPr><w:numPr><w:numId w:val=\"7\"/></w:numPr></w:pPr></w:pPrChange></w:pPr>\
                <w:r><w:t>Kept</w:t></w:r></w:p>";
    assert_eq!(read("a.docx", word(body)).unwrap().text, "Kept");
}

#[test]
fn documents_within_a_document_are_read() {
    let kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/aFChunk";
    let relations = format!(
        "<Relationships><Relationship Id=\"a\" Type=\"{kind}\" Target=\"part.html\"/>\
         <Relationship Id=\"b\" Type=\"{kind}\" Target=\"part.docx\"/>\
         <Relationship Id=\"c\" Type=\"{kind}\" Target=\"part.bin\"/>\
         <Relationship Id=\"d\" Type=\"{kind}\" Target=\"part.rtf\"/></Relationships>"
    );
    let body = "<w:document xmlns:w=\"w\" xmlns:r=\"r\"><w:body><w:p><w:r><w:t>One</w:t></w:r></w:p>\
                <w:altChunk r:id=\"a\"/><w:altChunk r:id=\"b\"/><w:altChunk r:id=\"c\"/><w:altChunk r:id=\"d\"/>\
                <w:p><w:r><w:t>Five</w:t></w:r></w:p></w:body></w:document>";
    let inner = word("<w:p><w:r><w:t>Three</w:t></w:r></w:p>");
    let file = archive(&[
        ("word/document.xml", body.as_bytes()),
        ("word/_rels/document.xml.rels", relations.as_bytes()),
        ("word/part.html", b"<html><body><p>Two</p></body></html>"),
        ("word/part.docx", &inner),
        ("word/part.bin", b"\x7fELF\x00\x01"),
        ("word/part.rtf", b"{\\rtf1\\ansi Fou\\'72\\par}"),
    ]);
    let document = read("a.docx", file).unwrap();
    assert_eq!(document.text, "One\n\nTwo\n\nThree\n\nFour\n\nFive");
    assert_eq!(document.warnings, ["1 documents in the document were not read; upload them by themselves"]);
}

#[test]
fn descriptions_of_pictures_are_read() {
    let picture = |said: &str| {
        format!(
            "<w:p><w:r><w:drawing><wp:docPr xmlns:wp=\"wp\" id=\"1\" name=\"Picture 1\" descr=\"{said}\"/></w:drawing></w:r></w:p>"
        )
    };
    let body = format!("{}{}", picture("A crane over the quay"), picture("C:\\pictures\\crane.jpg"));
    assert_eq!(read("a.docx", word(&body)).unwrap().text, "![A crane over the quay]()");
    let old = "<w:p><w:r><w:pict><v:shape xmlns:v=\"v\" alt=\"The old quay\"/></w:pict></w:r></w:p>";
    assert_eq!(read("a.docx", word(old)).unwrap().text, "![The old quay]()");
    let slide =
        slide("<p:pic><p:nvPicPr><p:cNvPr id=\"2\" name=\"a\" descr=\"The new quay\"/></p:nvPicPr></p:pic>");
    assert_eq!(read("a.pptx", slides(&[&slide])).unwrap().text, "![The new quay]()");
}

fn slide(shapes: &str) -> String {
    format!("<p:sld xmlns:p=\"p\" xmlns:a=\"a\"><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:sld>")
}

fn slides(slides: &[&str]) -> Vec<u8> {
    let kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/slide";
    let (mut order, mut relations, mut parts) = (String::new(), String::new(), Vec::new());
    for (number, slide) in slides.iter().enumerate() {
        order.push_str(&format!("<p:sldId r:id=\"r{number}\"/>"));
        relations.push_str(&format!(
            "<Relationship Id=\"r{number}\" Type=\"{kind}\" Target=\"slides/slide{number}.xml\"/>"
        ));
        parts.push((format!("ppt/slides/slide{number}.xml"), *slide));
    }
    let order = format!(
        "<p:presentation xmlns:p=\"p\" xmlns:r=\"r\"><p:sldIdLst>{order}</p:sldIdLst></p:presentation>"
    );
    let relations = format!("<Relationships>{relations}</Relationships>");
    let mut all: Vec<(&str, &[u8])> = vec![
        ("ppt/presentation.xml", order.as_bytes()),
        ("ppt/_rels/presentation.xml.rels", relations.as_bytes()),
    ];
    all.extend(parts.iter().map(|(name, slide)| (name.as_str(), slide.as_bytes())));
    archive(&all)
}

#[test]
fn dates_and_footers_of_slides_are_read_once() {
    let shape = |kind: &str, text: &str| {
        format!(
            "<p:sp><p:nvSpPr><p:nvPr><p:ph type=\"{kind}\"/></p:nvPr></p:nvSpPr><p:txBody><a:p><a:r><a:t>{text}</a:t>\
             </a:r></a:p></p:txBody></p:sp>"
        )
    };
    let page = |text: &str, number: &str| {
        let edges = [shape("dt", "14 May 1995"), shape("ftr", "Harbour office"), shape("sldNum", number)];
        slide(&format!("{}{}", shape("body", text), edges.concat()))
    };
    let (one, two) = (page("Deeper basin", "1"), page("Longer quay", "2"));
    assert_eq!(
        read("a.pptx", slides(&[&one, &two])).unwrap().text,
        "Deeper basin\n\n14 May 1995\n\nFooter: Harbour office\n\nLonger quay"
    );
}

/// A Word document with this body, and beside it a part of this name: `footnotes` or `comments`.
fn with_part(body: &str, name: &str, inside: &str) -> Vec<u8> {
    let kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let relations = format!(
        "<Relationships><Relationship Id=\"a\" Type=\"{kind}/{name}\" Target=\"{name}.xml\"/></Relationships>"
    );
    let body = format!("<w:document xmlns:w=\"w\"><w:body><w:p>{body}</w:p></w:body></w:document>");
    let inside = format!("<w:{name} xmlns:w=\"w\">{inside}</w:{name}>");
    archive(&[
        ("word/document.xml", body.as_bytes()),
        ("word/_rels/document.xml.rels", relations.as_bytes()),
        (&format!("word/{name}.xml"), inside.as_bytes()),
    ])
}

#[test]
fn notes_have_the_numbers_that_word_shows() {
    let mark = |id: u32| format!("<w:r><w:footnoteReference w:id=\"{id}\"/></w:r>");
    let note = |id: u32, text: &str| {
        format!("<w:footnote w:id=\"{id}\"><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:footnote>")
    };
    let body = format!(
        "<w:r><w:t>One</w:t></w:r>{}<w:r><w:t xml:space=\"preserve\"> two</w:t></w:r>{}",
        mark(7),
        mark(3)
    );
    let notes = format!("{}{}", note(3, "Second"), note(7, "First"));
    assert_eq!(
        read("a.docx", with_part(&body, "footnotes", &notes)).unwrap().text,
        "One[^1] two[^2]\n\n[^1]: First\n\n[^2]: Second"
    );
}

#[test]
fn notes_that_share_an_id_or_have_none_are_all_kept() {
    let note = |id: &str, text: &str| {
        format!("<w:footnote{id}><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:footnote>")
    };
    let same = " w:id=\"2\"";
    let notes =
        [note("", "Depth"), note(same, "Tide"), note("", "Width"), note(same, "Ebb"), note(same, "Flood")];
    let body = "<w:r><w:t>One</w:t></w:r><w:r><w:footnoteReference w:id=\"2\"/></w:r>";
    assert_eq!(
        read("a.docx", with_part(body, "footnotes", &notes.concat())).unwrap().text,
        "One[^1]\n\n[^1]: Tide\n\n[^1]: Ebb\n\n[^1]: Flood\n\n[^2]: Depth\n\n[^2]: Width"
    );
}

#[test]
fn lists_without_a_start_begin_with_0_and_bullets_have_no_number() {
    let kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/numbering";
    let relations = format!(
        "<Relationships><Relationship Id=\"a\" Type=\"{kind}\" Target=\"numbering.xml\"/></Relationships>"
    );
    let level = |at: u32, format: &str, text: &str| {
        format!("<w:lvl w:ilvl=\"{at}\"><w:numFmt w:val=\"{format}\"/><w:lvlText w:val=\"{text}\"/></w:lvl>")
    };
    let numbering = format!(
        "<w:numbering xmlns:w=\"w\"><w:abstractNum w:abstractNumId=\"1\">{}{}{}</w:abstractNum>\
         <w:num w:numId=\"1\"><w:abstractNumId w:val=\"1\"/></w:num></w:numbering>",
        level(0, "ordinal", "%1"),
        level(1, "bullet", "·"),
        level(2, "decimal", "%1.%2.%3")
    );
    let item = |at: u32, text: &str| {
        format!(
            "<w:p><w:pPr><w:numPr><w:ilvl w:val=\"{at}\"/><w:numId w:val=\"1\"/></w:numPr></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"
        )
    };
    let body = format!(
        "<w:document xmlns:w=\"w\"><w:body>{}{}{}{}</w:body></w:document>",
        item(0, "a"),
        item(0, "b"),
        item(1, "c"),
        item(2, "d")
    );
    let file = archive(&[
        ("word/document.xml", body.as_bytes()),
        ("word/_rels/document.xml.rels", relations.as_bytes()),
        ("word/numbering.xml", numbering.as_bytes()),
    ]);
    assert_eq!(read("a.docx", file).unwrap().text, "0th a\n1st b\n  - c\n    1st..0 d");
}

#[test]
fn signs_of_symbol_fonts_are_the_characters_that_they_show() {
    let sign = |font: &str, code: &str| format!("<w:r><w:sym w:font=\"{font}\" w:char=\"{code}\"/></w:r>");
    let body = format!(
        "<w:p><w:r><w:t>5 </w:t></w:r>{}<w:r><w:t>m </w:t></w:r>{}{}</w:p>",
        sign("Symbol", "F06D"),
        sign("Wingdings", "F0E0"),
        sign("Other", "F0E0")
    );
    assert_eq!(read("a.docx", word(&body)).unwrap().text, "5 μm →");
}

#[test]
fn comments_that_share_an_id_are_all_kept() {
    let comment = |text: &str| {
        format!("<w:comment w:id=\"4\" w:author=\"Ada\"><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:comment>")
    };
    let body = "<w:r><w:t>One</w:t></w:r><w:r><w:commentReference w:id=\"4\"/></w:r>";
    assert_eq!(
        read("a.docx", with_part(body, "comments", &[comment("Tide"), comment("Ebb")].concat()))
            .unwrap()
            .text,
        "One\n\nComment (Ada): Tide\n\nComment (Ada): Ebb"
    );
}
