//! PDF as it is made in offices, by scanners and by other people's programs.

use std::time::Duration;

use aimate_text::extract::{ExtractErrorKind, Extracted, Limits};
use aimate_text::split::{Chunking, split};

use crate::support::{bytes, pdf, read, read_with};

fn read_file(name: &str) -> Extracted {
    read(name, bytes(&format!("pdf/{name}.pdf"))).unwrap()
}

/// Whether the words stand in this order.
fn assert_order(text: &str, words: &[&str]) {
    let mut from = 0;
    for word in words {
        let at = text[from..]
            .find(word)
            .unwrap_or_else(|| panic!("{word} is not after {:?}:\n{text}", &text[..from]));
        from += at + word.len();
    }
}

#[test]
fn divided_words_are_whole_and_compounds_keep_their_hyphen() {
    let text = read_file("hyphenation").text;
    for word in ["regulation", "certificate", "September", "price-determining", "long-term", "cost-effective"]
    {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn number_under_two_columns_does_not_mix_them() {
    let document = read_file("number-in-gutter");
    assert_eq!(document.title.as_deref(), Some("Two Column Report on Harbours"));
    let parts = ["Abstract", "The harbour office keeps", "Introduction", "Seven granite steps"];
    let found: Vec<usize> = parts.iter().filter_map(|part| document.text.find(part)).collect();
    assert!(found.len() >= 3 && found.is_sorted(), "{}", document.text);
    // No line of the right column between two of the left one.
    let left = document.text.find("The harbour office").unwrap();
    let right = document.text.find("Seven granite steps").unwrap();
    assert!(!document.text[right..].contains("pilot checks") && left < right, "{}", document.text);
}

#[test]
fn headings_of_columns_are_read_with_their_columns() {
    let at = |x: u32, y: u32, text: &str| format!("1 0 0 1 {x} {y} Tm ({text}) Tj ");
    let mut page = "BT /F1 11 Tf ".to_owned();
    page += &at(60, 740, "Module One: planning of the");
    page += &at(320, 740, "Module Two: building of the");
    page += &at(60, 727, "eastern harbour wall");
    page += &at(320, 727, "western harbour wall");
    for line in 0..12 {
        page += &at(60, 690 - 14 * line, &format!("left line {line} says what the planners do"));
        page += &at(320, 690 - 14 * line, &format!("right line {line} says what builders do"));
    }
    let text = read("a.pdf", pdf(&[&format!("{page} ET")])).unwrap().text;
    assert_order(
        &text,
        &["Module One", "eastern", "left line 0", "left line 11", "Module Two", "western", "right line 0"],
    );
    // The title of a book and the number of its page are of no column.
    let edges = page
        .replace("Module One: planning of the", "Harbours")
        .replace("320 740 Tm (Module Two: building of the", "530 740 Tm (17")
        .replace("eastern harbour wall", "")
        .replace("western harbour wall", "");
    let text = read("a.pdf", pdf(&[&format!("{edges} ET")])).unwrap().text;
    assert_order(&text, &["Harbours", "17", "left line 0", "left line 11", "right line 0"]);
}

#[test]
fn rows_of_a_table_on_a_turned_page_are_rows() {
    let text = read_file("landscape-table").text;
    assert!(
        text.contains("Payee\tDescription\tDate\tAmount\nALDER, JUNE\tDistrict director\t06/01\t812.40\n"),
        "{text}"
    );
}

#[test]
fn lines_of_a_page_that_is_upside_down_are_in_order() {
    assert_order(
        &read_file("upside-down").text,
        &["The lessee keeps", "a year, in spring", "without being asked", "on the last day."],
    );
}

#[test]
fn few_words_are_read() {
    let document = read_file("few-words");
    assert_eq!(document.text, "Gate code: 4471");
    assert!(document.warnings.is_empty());
    assert_eq!(read_file("title-slides").pages.len(), 6);
}

#[test]
fn scanned_pages_are_named_and_the_others_read() {
    let document = read_file("letter-and-scans");
    assert_eq!(document.text.split_whitespace().count(), 52, "{}", document.text);
    assert_eq!(
        document.warnings,
        ["pages 2 to 13 of 13 pages have no text; they may be pictures that need OCR"]
    );
}

#[test]
fn codes_without_a_map_are_read_by_the_font() {
    let text = read_file("identity-name").text;
    assert!(text.contains("Invoice no. FV 12/2031"), "{text}");
}

#[test]
fn glyphs_behind_a_map_are_read_by_the_font() {
    assert_eq!(read_file("gid-map").text, "Harbour fee 421");
}

#[test]
fn characters_of_a_collection_of_adobe_need_no_map_of_their_own() {
    // Codes of Adobe-Japan1 itself, and of an encoding that leads to it.
    for (encoding, code) in [("Identity-H", "034b034d09b60a64"), ("90ms-RKSJ-H", "82a082a2938c8b9e")] {
        let font = format!(
            "<< /Type /Font /Subtype /Type0 /BaseFont /Ryumin-Light /Encoding /{encoding} /DescendantFonts [<< /Type /Font \
             /Subtype /CIDFontType0 /BaseFont /Ryumin-Light /CIDSystemInfo << /Registry (Adobe) /Ordering (Japan1) \
             /Supplement 2 >> /DW 1000 >>] >>"
        );
        let helvetica = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>";
        let file = String::from_utf8(pdf(&[&format!("BT /F1 12 Tf 72 700 Td <{code}> Tj ET")])).unwrap();
        // Its table of objects is wrong now, and made anew.
        let text = read("a.pdf", file.replace(helvetica, &font)).unwrap().text;
        assert_eq!(text.get(..6), Some("あい"), "{encoding}: {text}");
        assert_eq!(text.chars().count(), 4, "{encoding}: {text}");
    }
}

#[test]
fn values_of_form_fields_are_read_where_they_stand() {
    let text = read_file("form-fields").text;
    assert_order(
        &text,
        &["Name of the employee:", "Wilhelmina Acker", "Reason for the leave:", "Moving house to Lund"],
    );
}

#[test]
fn something_before_the_header_is_passed_over() {
    for name in ["bom-before-header", "text-before-header"] {
        assert!(!read_file(name).text.is_empty());
    }
}

#[test]
fn line_that_is_drawn_twice_is_read_once() {
    let text = read_file("fake-bold").text;
    assert_eq!(text.matches("Emergency exit").count(), 1, "{text}");
}

#[test]
fn chunk_of_two_pages_tells_where_the_second_begins() {
    let document = read_file("two-pages");
    let pieces = split(&document, Chunking::default(), 1_000, &str::len);
    assert_eq!(pieces.len(), 1);
    assert_eq!(pieces[0].page, Some(1));
    let (first, second) = document.text.split_once('\u{c}').unwrap();
    assert!(first.contains("tiles") && second.contains("5512-AK"), "{first} {second}");
}

#[test]
fn attached_files_are_named_and_plain_ones_read() {
    let document = read_file("attachment");
    assert!(document.text.contains("Attached terms: the interest is nine percent."), "{}", document.text);
    assert_eq!(document.warnings, ["1 file is attached (terms.txt)"]);
}

#[test]
fn stamp_across_a_page_is_no_title() {
    let document = read_file("watermark");
    assert_eq!(document.title, None);
    assert!(document.headings.is_empty());
    assert!(document.text.ends_with("DRAFT COPY"), "{}", document.text);
}

#[test]
fn arabic_ligatures_are_in_the_order_of_reading() {
    let text = read_file("arabic").text;
    for word in ["الإنتاجية", "المشكلات", "ولا"] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

/// A document of many pages that all show this.
fn long(pages: usize, content: &str) -> Vec<u8> {
    let kids: Vec<String> = (0..pages).map(|page| format!("{} 0 R", page + 5)).collect();
    let mut text = format!(
        "%PDF-1.4\n1 0 obj <</Type /Catalog /Pages 2 0 R>> endobj\n\
         2 0 obj <</Type /Pages /Kids [{}] /Count {pages} /MediaBox [0 0 612 792] /Resources <</Font <</F1 3 0 R>>>>>> endobj\n\
         3 0 obj <</Type /Font /Subtype /Type1 /BaseFont /Helvetica>> endobj\n\
         4 0 obj <</Length {}>> stream\n{content}\nendstream endobj\n",
        kids.join(" "),
        content.len()
    );
    for page in 0..pages {
        text.push_str(&format!("{} 0 obj <</Type /Page /Parent 2 0 R /Contents 4 0 R>> endobj\n", page + 5));
    }
    text.push_str("trailer <</Root 1 0 R>>\n");
    text.into_bytes()
}

fn lines(count: usize) -> String {
    let lines: String = (0..count)
        .map(|line| {
            format!(
                "1 0 0 1 72 {} Tm (Line {line} of the contract says what the party pays for it.) Tj\n",
                700 - 12 * line
            )
        })
        .collect();
    format!("BT /F1 10 Tf {lines} ET")
}

#[test]
fn what_was_read_in_time_is_kept_and_the_rest_named() {
    let bytes = long(20_000, &lines(40));
    let limits = Limits::default().pages(100_000).cpu(Duration::from_millis(2_000));
    let document = read_with("a.pdf", &bytes, &limits).unwrap();
    let read = document.pages.len();
    assert!(read > 0 && read < 20_000, "{read}");
    let named = format!("pages {} to 20000 of 20000 pages were left out: ", read + 1);
    assert!(document.warnings[0].starts_with(&named), "{:?}", document.warnings);
    let none = read_with("a.pdf", &bytes, &Limits::default().cpu(Duration::ZERO)).unwrap_err();
    assert_eq!(none.kind, ExtractErrorKind::Timeout);
}

#[test]
fn what_there_is_room_for_is_kept_and_the_rest_named() {
    let document = read_with("a.pdf", &long(9, &lines(20)), &Limits::default().output(4_000)).unwrap();
    assert!((2_000..=4_000).contains(&document.text.len()));
    let warning = document.warnings.last().unwrap();
    assert!(warning.starts_with("pages 4 to 9 of 9 pages were left out"), "{warning}");
    let few = read_with("a.pdf", &long(9, &lines(20)), &Limits::default().pages(7)).unwrap();
    assert_eq!(few.pages.len(), 7);
    assert!(
        few.warnings[0].starts_with("pages 8 to 9 of 9 pages were left out: the file has more than 7 pages")
    );
}

#[test]
fn running_lines_are_kept_once() {
    let pages: Vec<String> = (1..=6)
        .map(|page| {
            format!(
                "BT /F1 9 Tf 1 0 0 1 72 760 Tm (Contract no. ZK-2291) Tj 1 0 0 1 300 30 Tm (Page {page} of 6) Tj \
                 /F1 11 Tf 1 0 0 1 72 600 Tm (What the party number {page} says goes on from page to) Tj ET"
            )
        })
        .collect();
    let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
    let document = read("a.pdf", pdf(&pages)).unwrap();
    assert_eq!(document.text.matches("ZK-2291").count(), 1);
    assert_eq!(document.text.matches("of 6").count(), 1);
    assert_eq!(document.text.matches("goes on from page to").count(), 6);
}

#[test]
fn comments_are_read_with_their_author() {
    let page = "BT /F1 12 Tf 72 700 Td (The ceiling of the penalty.) Tj ET";
    let text = String::from_utf8(pdf(&[page])).unwrap();
    let marked = text.replace(
        "/Type /Page /Parent",
        "/Type /Page /Annots [<</Type /Annot /Subtype /Text /Rect [0 0 9 9] /T (Ada) /Contents (Is this legal?)>>] /Parent",
    );
    assert!(read("a.pdf", marked).unwrap().text.ends_with("\n\nComment (Ada): Is this legal?"));
}

#[test]
fn running_lines_with_figures_of_their_own_are_kept() {
    let page = |line: &str, number: usize| {
        format!(
            "BT /F1 9 Tf 1 0 0 1 72 760 Tm ({line}) Tj 1 0 0 1 300 30 Tm (Sheet {number}) Tj \
             /F1 11 Tf 1 0 0 1 72 600 Tm (What the figures say) Tj ET"
        )
    };
    let lines = ["Tide 1.5 m", "Tide 4.0 m", "Tide 2.5 m", "Tide 7.5 m", "Tide 0.5 m"];
    let pages: Vec<String> = (1..).zip(lines).map(|(number, line)| page(line, number)).collect();
    let text = read("a.pdf", pdf(&pages.iter().map(String::as_str).collect::<Vec<_>>())).unwrap().text;
    assert!(lines.iter().all(|line| text.contains(line)), "{text}");
    assert_eq!(text.matches("Sheet").count(), 1, "{text}");
}

#[test]
fn running_lines_with_the_largest_numbers_are_read() {
    let largest = u64::MAX.to_string();
    let pages: Vec<String> = [&largest, "1", "98765432109876543210", "5", &largest]
        .iter()
        .map(|number| {
            format!(
                "BT /F1 9 Tf 1 0 0 1 72 760 Tm (Account {number}) Tj /F1 11 Tf 1 0 0 1 72 600 Tm (What it says) Tj ET"
            )
        })
        .collect();
    let text = read("a.pdf", pdf(&pages.iter().map(String::as_str).collect::<Vec<_>>())).unwrap().text;
    assert!(text.contains(&format!("Account {largest}")) && text.contains("Account 5"), "{text}");
}

fn one_page(content: &str) -> String {
    read("a.pdf", pdf(&[&format!("BT {content} ET")])).unwrap().text
}

#[test]
fn letters_of_negative_size_stand_on_their_head() {
    let turned = "/F1 -11 Tf -1 0 0 -1 72 700 Tm (The harbour of Kiel) Tj -1 0 0 -1 72 680 Tm (is deep) Tj";
    assert_order(&one_page(turned), &["The harbour of Kiel", "is deep"]);
}

#[test]
fn spacing_that_goes_back_draws_from_right_to_left() {
    assert_eq!(one_page("/F1 11 Tf -12.23 Tc 1 0 0 1 300 700 Tm (dednuob) Tj"), "bounded");
}

#[test]
fn fonts_of_a_page_itself_are_each_their_own() {
    let page = "BT /F2 11 Tf 1 0 0 1 72 700 Tm (ABC) Tj /F4 11 Tf 1 0 0 1 72 680 Tm (ABC) Tj ET";
    let text = String::from_utf8(pdf(&[page])).unwrap();
    let font = "/Type /Font /Subtype /Type1 /BaseFont /Helvetica";
    let fonts = format!(
        "/F2 <<{font}>> /F4 <<{font} /Encoding <</Type /Encoding /Differences [65 /x /y /z]>> >> /F1 3 0 R"
    );
    let text = read("a.pdf", text.replace("/F1 3 0 R", &fonts)).unwrap().text;
    assert_order(&text, &["ABC", "xyz"]);
}

#[test]
fn words_over_words_are_not_mixed() {
    let text = one_page("/F1 24 Tf 100 700 Td (Read the first time) Tj 0 0 Td (Read the second time) Tj");
    assert!(text.contains("first time") && text.contains("second time"), "{text}");
}

#[test]
fn narrow_letters_that_look_bold_are_there_once() {
    let word = "(still filling) Tj";
    assert_eq!(
        one_page(&format!("/F1 11 Tf 1 0 0 1 72 700 Tm {word} 1 0 0 1 73 700 Tm {word}")),
        "still filling"
    );
}

#[test]
fn letters_of_an_index_are_on_their_line() {
    let line = "/F1 9 Tf 1 0 0 1 72 700 Tm (keys: k) Tj /F1 6 Tf 1 0 0 1 100.1 696.6 Tm (A) Tj \
                /F1 9 Tf 1 0 0 1 104.2 700 Tm (, and more) Tj";
    assert_eq!(one_page(line), "keys: kA, and more");
}

#[test]
fn lists_of_a_form_show_their_options() {
    let text = String::from_utf8(pdf(&["BT /F1 11 Tf 72 700 Td (Harbour:) Tj ET"])).unwrap();
    let list = "/Annots [<</Type /Annot /Subtype /Widget /FT /Ch /T (a) /Rect [72 600 200 660] \
                /Opt [(Kiel) [(2) (Bergen)]] /V (Kiel)>>] /Type /Page /Parent";
    let shown = read("a.pdf", text.replace("/Type /Page /Parent", list)).unwrap().text;
    assert_order(&shown, &["Harbour:", "Kiel", "Bergen"]);
    let chosen = list.replace("/FT /Ch", "/FT /Ch /Ff 131072");
    let shown = read("a.pdf", text.replace("/Type /Page /Parent", &chosen)).unwrap().text;
    assert!(shown.contains("Kiel") && !shown.contains("Bergen"), "{shown}");
}

#[test]
fn page_without_a_size_is_read() {
    let text = String::from_utf8(pdf(&["BT /F1 11 Tf 72 700 Td (Gate code) Tj ET"])).unwrap();
    assert_eq!(read("a.pdf", text.replace("[0 0 612 792]", "[0 0 0 0]")).unwrap().text, "Gate code");
}

#[test]
fn spaces_that_are_drawn_part_words_however_narrow_they_are() {
    let near = "/F1 11 Tf 1 0 0 1 72 700 Tm (necessary ) Tj 1 0 0 1 122.8 700 Tm (to go) Tj";
    assert_eq!(one_page(near), "necessary to go");
    let none = near.replace("(necessary )", "(necessary)");
    assert_eq!(one_page(&none), "necessaryto go");
}

#[test]
fn accents_that_are_drawn_after_a_line_are_over_their_letters() {
    let text = one_page("/F1 11 Tf 1 0 0 1 72 700 Tm (nave) Tj 1 0 0 1 79.3 700 Tm (\\310) Tj");
    assert_eq!(text.replace("a\u{308}", "ä"), "näve");
}

#[test]
fn what_a_watermark_shows_is_read() {
    let text = String::from_utf8(pdf(&["BT /F1 12 Tf 72 700 Td (The harbour plan) Tj ET"])).unwrap();
    let form = "6 0 obj\n<< /Type /XObject /Subtype /Form /BBox [0 0 200 20] /Length 40 >>\nstream\n\
                BT /F1 12 Tf 2 5 Td (Draft of May) Tj ET\nendstream\nendobj\nxref";
    let mark = "/Annots [<</Type /Annot /Subtype /Watermark /Rect [72 600 272 620] /AP <</N 6 0 R>> >>] /Type /Page /Parent";
    let marked = text.replace("xref\n0 6", &format!("{form}\n0 6")).replace("/Type /Page /Parent", mark);
    assert_order(&read("a.pdf", marked).unwrap().text, &["The harbour plan", "Draft of May"]);
}

#[test]
fn exponents_belong_to_what_they_stand_beside() {
    let page = "/F1 12 Tf 1 0 0 1 72 700 Tm (Sum of) Tj 1 0 0 1 150 700 Tm (= p) Tj /F1 8 Tf 1 0 0 1 167.2 705 Tm (2) Tj \
                /F1 12 Tf 1 0 0 1 120 708 Tm (1) Tj 1 0 0 1 72 660 Tm (and so on) Tj";
    let text = one_page(page);
    assert!(text.contains("= p2"), "{text}");
}

#[test]
fn words_that_are_wider_by_their_font_than_they_are_drawn_stay_on_their_line() {
    // Each letter is 0.5 em wide as it is drawn, and 0.65 by the font.
    let widths = "650 ".repeat(95);
    let font = format!(
        "/Type /Font /Subtype /Type1 /BaseFont /Odd /FirstChar 32 /LastChar 126 /Widths [{widths}] \
         /FontDescriptor <</Type /FontDescriptor /FontName /Odd /Flags 32>>"
    );
    let line = "The responsibilities harbour masters have include a depth beyond it";
    for space in ["", " "] {
        let (mut page, mut x) = ("/F1 10 Tf 40 700 Td ".to_owned(), 0);
        for word in line.split(' ') {
            page += &format!("{x} 0 Td ({word}{space}) Tj ");
            x = 5 * word.len() + 3;
        }
        let text = String::from_utf8(pdf(&[&format!("BT {page} ET")])).unwrap();
        // Its table of objects is wrong now, and made anew.
        let file = text.replace("/Type /Font /Subtype /Type1 /BaseFont /Helvetica", &font);
        let text = read("a.pdf", file).unwrap().text;
        assert_eq!(text.replace(' ', ""), line.replace(' ', ""));
        assert!(space.is_empty() || text == line, "{text}");
    }
}

#[test]
fn long_lines_drawn_backwards_leave_time_for_the_next_page() {
    // Each letter overlaps the one before it.
    let alone = format!("BT /F1 1 Tf -.95 Tc .002 0 0 .002 500 700 Tm ({}) Tj ET", "xz".repeat(150_000));
    // As many lie among those of a line that was drawn before.
    let among = format!(
        "BT /F1 1 Tf .002 0 0 .002 10 700 Tm ({}) Tj -.95 Tc .002 0 0 .002 240 700 Tm ({}) Tj ET",
        "ab".repeat(100_000),
        "xz".repeat(100_000)
    );
    let next = "BT /F1 11 Tf 72 700 Td (The next page) Tj ET";
    let document = read("a.pdf", pdf(&[&alone, &among, next])).unwrap();
    assert!(document.text.ends_with("The next page"), "{:?}", document.warnings);
}

#[test]
fn figures_that_touch_are_parted_and_numbers_with_two_points_are_not() {
    let labels = "/F1 10 Tf 1 0 0 1 72 700 Tm (73.3) Tj 1 0 0 1 92 700 Tm (72.6) Tj";
    assert_eq!(one_page(labels), "73.3 72.6");
    assert_eq!(one_page("/F1 10 Tf 1 0 0 1 72 700 Tm (12.05.2031) Tj"), "12.05.2031");
    assert_eq!(one_page("/F1 10 Tf 1 0 0 1 72 700 Tm [(12.) -90 (05.2031)] TJ"), "12.05.2031");
}
