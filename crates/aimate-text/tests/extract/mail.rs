use aimate_text::extract::{Extracted, Limits, TextKind};

use crate::support::{assert_sound, bytes, read, read_with};

fn read_file(name: &str) -> Extracted {
    let document = read(name, bytes(name)).unwrap();
    assert_sound(&document);
    document
}

fn headings(document: &Extracted) -> Vec<(u8, &str)> {
    document.headings.iter().map(|heading| (heading.level, heading.title.as_str())).collect()
}

#[test]
fn forwarded_message_is_read_under_its_subject() {
    let document = read_file("forwarded-message.eml");
    assert_eq!(
        document.text,
        "Subject: Fwd: Original order\nFrom: d@example.org\n\nSee the forwarded mail.\n\n\
         Attached message: Original order\nFrom: c@example.org\n\nWe order 40 pallets of lime for 9 August."
    );
    assert_eq!(headings(&document), [(1, "Original order")]);
    assert!(document.warnings.is_empty(), "{:?}", document.warnings);
}

#[test]
fn text_that_is_attached_is_read_under_its_name() {
    let document = read_file("text-attachment.eml");
    assert!(document.text.ends_with(
        "Contact: Ana Müller.\n\nAttachment: vault.txt\n\nAttached text: the vault code is 9917."
    ));
    assert_eq!(headings(&document), [(1, "vault.txt")]);
    assert!(document.warnings.is_empty(), "{:?}", document.warnings);
}

#[test]
fn form_that_says_more_is_taken() {
    let document = read_file("plain-stub-html-body.eml");
    assert!(document.text.contains("The canteen is closed on 4 June"), "{}", document.text);
    assert!(!document.text.contains("mail program"), "{}", document.text);
    // Where both say about the same, the plain one.
    let both = "Subject: x\nContent-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain\n\n\
                Lunch is at noon * today\n--b\nContent-Type: text/html\n\n<p>Lunch is at <b>noon</b> today</p>\n--b--";
    assert_eq!(read("a.eml", both).unwrap().text, "Subject: x\n\nLunch is at noon * today");
}

#[test]
fn saved_web_page_is_read_as_a_page() {
    let document = read_file("page.mht");
    assert_eq!(document.text, "The saved page speaks of café opening hours.");
    assert_eq!(document.title.as_deref(), Some("Saved page"));
    assert!(document.warnings.is_empty(), "{:?}", document.warnings);
}

#[test]
fn documents_that_are_attached_are_read() {
    let base64 = |bytes: &[u8]| {
        const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for group in bytes.chunks(3) {
            let value = |at: usize| u32::from(group.get(at).copied().unwrap_or_default());
            let bits = value(0) << 16 | value(1) << 8 | value(2);
            for place in 0..=group.len() {
                text.push(char::from(DIGITS[(bits >> (18 - 6 * place) & 63) as usize]));
            }
        }
        text
    };
    let part = |name: &str, content: &str| {
        format!(
            "--b\nContent-Type: application/octet-stream; name=\"{name}\"\nContent-Transfer-Encoding: base64\n\
             Content-Disposition: attachment; filename=\"{name}\"\n\n{content}\n"
        )
    };
    let mail = format!(
        "Subject: Papers\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nSee below.\n{}{}{}{}--b--\n",
        part("report.docx", &base64(&bytes("report.docx"))),
        part("locked.pdf", &base64(&bytes("locked.pdf"))),
        part("=?utf-8?q?B=C3=BCro.png?=", &base64(b"\x89PNG\r\n\x1a\n000")),
        part("crew.csv", &base64(b"Name,Rank\nAda,Captain\n")),
    );
    let document = read("a.eml", mail).unwrap();
    assert_sound(&document);
    assert_eq!(document.kind, TextKind::Markdown);
    assert!(document.text.contains("## Ships") || document.text.contains("# Ships"), "{}", document.text);
    assert!(document.text.contains("Name: Ada; Rank: Captain"), "{}", document.text);
    assert!(document.text.ends_with("Attachments: locked.pdf, Büro.png"), "{}", document.text);
    assert_eq!(
        document.warnings,
        ["2 attachments of the e-mail are not read: locked.pdf (protected by a password), \
          Büro.png (of a kind that is not read); upload what matters of it as files"]
    );
    let named: Vec<&str> = document.headings.iter().map(|heading| heading.title.as_str()).collect();
    assert_eq!(named, ["report.docx", "Harbour report", "Ships", "Steps", "crew.csv"]);
    for heading in &document.headings {
        let line = document.text[heading.start..].lines().next().unwrap();
        assert!(line.ends_with(&heading.title), "{line}");
    }
}

#[test]
fn each_message_of_a_mailbox_has_its_heading() {
    let mailbox = "From a@example.org Mon Mar  4 10:00:00 2024\nSubject: Boiler\nFrom: a@example.org\n\nServiced in May.\n\
                   >From now on yearly.\n\nFrom b@example.org Tue Mar  5 10:00:00 2024\nSubject: Lunch\n\nAt noon.\n";
    for name in ["a.mbox", "no extension"] {
        let document = read(name, mailbox).unwrap();
        assert_sound(&document);
        assert_eq!(document.media_type, "application/mbox");
        assert_eq!(
            document.text,
            "Subject: Boiler\nFrom: a@example.org\n\nServiced in May.\nFrom now on yearly.\n\nSubject: Lunch\n\nAt noon."
        );
        assert_eq!(headings(&document), [(1, "Boiler"), (1, "Lunch")]);
    }
}

#[test]
fn message_in_utf16_is_read() {
    let mail = "From: a@example.org\r\nSubject: Grüße\r\nContent-Type: text/plain; charset=\"UTF-8\"\r\n\r\nDie Äpfel sind reif.\r\n";
    for mark in [true, false] {
        let units = mark.then_some(0xfeff).into_iter().chain(mail.encode_utf16());
        let bytes: Vec<u8> = units.flat_map(u16::to_le_bytes).collect();
        let document = read("a.eml", bytes).unwrap();
        assert_eq!(document.text, "Subject: Grüße\nFrom: a@example.org\n\nDie Äpfel sind reif.");
    }
}

#[test]
fn damaged_headers_and_encodings_are_borne() {
    // A bare byte in the subject, words cut within a character, an unknown character
    // set, broken quoted-printable.
    let mail =
        b"Subject: D\xe9j\xe0 vu \xe0 Orl\xe9ans\nFrom: =?utf-8?B?4oI=?= =?utf-8?B?rA==?= <e@example.org>\n\
                 Content-Type: text/plain; charset=x-unknown\nContent-Transfer-Encoding: quoted-printable\n\n\
                 caf=C3=A9 =ZZ 5=3\n";
    let document = read("a.eml", mail).unwrap();
    assert_eq!(document.text, "Subject: Déjà vu à Orléans\nFrom: € <e@example.org>\n\ncafé =ZZ 5=3");
    // No blank line, no boundary that ends, no header at all.
    assert_eq!(read("a.eml", "Subject: only a header").unwrap().text, "Subject: only a header");
    let open = "Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nstill read";
    assert_eq!(read("a.eml", open).unwrap().text, "Subject: x\n\nstill read");
}

#[test]
fn body_in_an_old_encoding_is_decoded() {
    let mail = b"Subject: x\nContent-Type: text/plain; charset=ISO-2022-KR\n\n\x1b$)C\n\x0e0!3*\x0f ok\n";
    assert_eq!(read("a.eml", mail).unwrap().text, "Subject: x\n\n가나 ok");
    let mail = b"Subject: x\nContent-Type: text/plain; charset=us-ascii\n\n\xd0\x94\xd0\xb0, \xd0\xbc\xd0\xb8\xd1\x80\n";
    assert_eq!(read("a.eml", mail).unwrap().text, "Subject: x\n\nДа, мир");
}

#[test]
fn invitation_is_read_beside_the_text() {
    let mail = "Subject: Boiler\nContent-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain\n\nPlease come.\n\
                --b\nContent-Type: text/calendar; method=REQUEST\n\nBEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:Boiler service\n\
                DTSTART:20240301T100000Z\nLOCATION:Cellar\nEND:VEVENT\nEND:VCALENDAR\n--b--";
    assert_eq!(
        read("a.eml", mail).unwrap().text,
        "Subject: Boiler\n\nPlease come.\n\nEvent: Boiler service\nStart: 2024-03-01 10:00 UTC\nPlace: Cellar"
    );
}

#[test]
fn flowed_lines_are_one_paragraph() {
    let mail = "Subject: x\nContent-Type: text/plain; format=flowed\n\nOne long \nline.\nNext.\n";
    assert_eq!(read("a.eml", mail).unwrap().text, "Subject: x\n\nOne long line.\nNext.");
}

#[test]
fn messages_in_messages_have_an_end() {
    let mut mail = "Subject: 0\n\ninnermost".to_owned();
    for depth in 1..40 {
        mail = format!(
            "Subject: {depth}\nContent-Type: multipart/mixed; boundary=b{depth}\n\n--b{depth}\nContent-Type: message/rfc822\n\n\
             {mail}\n--b{depth}--\n"
        );
    }
    let document = read("a.eml", &mail).unwrap();
    assert_sound(&document);
    assert_eq!(document.text.matches("Attached message").count(), 8);
    assert_eq!(
        document.warnings,
        [
            "1 attachment of the e-mail is not read: message (nested too deep); upload what matters of it as files"
        ]
    );
    let many = "--b\nContent-Type: message/rfc822\n\nSubject: y\n\nz\n".repeat(100);
    let many = format!("Subject: x\nContent-Type: multipart/digest; boundary=b\n\n{many}--b--\n");
    let document = read_with("a.eml", many.as_bytes(), &Limits::default().parts(20)).unwrap();
    assert!(document.text.matches("Attached message").count() < 20);
    assert!(
        document.warnings.iter().any(|warning| warning.contains("more than 20 parts")),
        "{:?}",
        document.warnings
    );
}

#[test]
fn long_messages_are_cut() {
    let mail = format!("Subject: x\n\n{}", "word ".repeat(1_000));
    let document = read_with("a.eml", mail.as_bytes(), &Limits::default().output(500)).unwrap();
    assert!(document.text.len() <= 500 && document.text.starts_with("Subject: x\n\nword word"));
    assert_eq!(document.warnings.len(), 1, "{:?}", document.warnings);
}
