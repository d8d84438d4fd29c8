use aimate_http::fuzzing;

use super::texts;
use crate::Target;

pub(super) const PART_HEAD: Target = Target {
    name: "part_head",
    run: part_head,
    seeds: || {
        let heads = [
            "\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a\\\"b.txt\"\r\ncontent-type: text/plain\r\n\r\n",
            "\r\ncontent-disposition: form-data; name=x; filename=\"x\"; filename*=UTF-8''%C3%A9.txt\r\n\r\n",
            "  \r\nContent-Disposition:form-data;filename=\"C:\\temp\\a.txt\";name=\"a%22\"\r\n\r\n",
        ];
        heads.iter().map(|head| head.as_bytes().to_vec()).collect()
    },
    words: &[
        "content-disposition: form-data",
        "content-type: ",
        "; name=",
        "; filename=",
        "; filename*=",
        "UTF-8''",
        "'",
        "%",
        "%22",
        "%FF",
        "\"",
        "\\",
        "\\\"",
        "=",
        ";",
        "\r\n",
        ":",
        " ",
    ],
};

/// The head of a part gives no more than it holds.
pub fn part_head(input: &[u8]) {
    if let Some(part) = fuzzing::part_head(input) {
        assert!(part.name.len() <= input.len());
        // A byte that is no UTF-8 becomes a character of three.
        assert!(part.file_name.is_none_or(|name| name.len() <= 3 * input.len()));
    }
}

pub(super) const CONTENT_TYPE: Target = Target {
    name: "content_type",
    run: content_type,
    seeds: || {
        let types = [
            "multipart/form-data; boundary=abc",
            "Multipart/Form-Data;charset=x; Boundary=\"a b\"",
            "text/plain",
        ];
        types.iter().map(|text| text.as_bytes().to_vec()).collect()
    },
    words: &["multipart/form-data", ";", "boundary=", "=", "\"", "\\\"", " ", "charset=utf-8", "''"],
};

/// A boundary is of 1 to 70 bytes that the header has.
pub fn content_type(input: &[u8]) {
    if let Some(boundary) = fuzzing::boundary(input) {
        assert!((1..=70).contains(&boundary.len()) && boundary.len() <= input.len());
    }
}

pub(super) const FILE_NAME: Target = Target {
    name: "file_name",
    run: file_name,
    seeds: || {
        let files = [
            "text/html\0Manual 2.pdf",
            "application/pdf\0../../etc/passwd",
            "image/svg+xml\0a\r\nb: c",
            "a/b\0..",
        ];
        files.iter().map(|text| text.as_bytes().to_vec()).collect()
    },
    words: &[
        "text/",
        "html",
        "+xml",
        "; charset=",
        "\r\n",
        "/",
        "\\",
        "..",
        "\"",
        "%",
        "'",
        "😀",
        "\u{202E}",
        "\0",
    ],
};

/// A stored media type and name make headers that say one thing.
pub fn file_name(input: &[u8]) {
    let parts = texts(input);
    let (media_type, disposition) = fuzzing::file_headers(&parts[0], parts.get(1).map_or("", String::as_str));
    assert!(media_type.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{media_type:?}");
    let (kind, name) = disposition.split_once("; filename*=UTF-8''").unwrap();
    assert!(["inline", "attachment"].contains(&kind));
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._%".contains(&byte);
    assert!(name.bytes().all(is_plain) && !name.starts_with('.'), "{name:?}");
}

pub(super) const ORIGIN: Target = Target {
    name: "origin",
    run: origin,
    seeds: || {
        let requests = [
            "127.0.0.1:3000\0http://127.0.0.1:3000",
            "[::1]\0null",
            "localhost\0https://app.example.org",
            "a@localhost\0",
        ];
        requests.iter().map(|text| text.as_bytes().to_vec()).collect()
    },
    words: &[
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        ":3000",
        "@",
        "http://",
        "https://app.example.org",
        ".",
        "%",
        "/",
        "\0",
        "evil.example",
        "0x7f.1",
    ],
};

/// Only loopback hosts are answered, and changes only for their own pages.
pub fn origin(input: &[u8]) {
    let allowed = ["https://app.example.org".to_owned()];
    let mut parts = input.splitn(2, |byte| *byte == 0);
    let (host, origin) = (parts.next().unwrap(), parts.next());
    if !fuzzing::is_answered(host, origin, &allowed) {
        return;
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let host = text(host);
    let name = host.rsplit('@').next().unwrap();
    let is_loopback =
        ["localhost", "127.", "[::1]", "[::0", "[0", "::1"].iter().any(|start| name.starts_with(start));
    assert!(is_loopback, "{host:?}");
    if let Some(origin) = origin.map(text) {
        assert!(origin == allowed[0] || origin.ends_with(name), "{host:?} {origin:?}");
    }
}

pub(super) const RETRY_AFTER: Target = Target {
    name: "retry_after",
    run: retry_after,
    seeds: || {
        let headers = [
            "1500\0\0",
            "\x007\0",
            "\0Sun, 06 Nov 1994 08:50:07 GMT\0Sun, 06 Nov 1994 08:49:37 GMT",
            "1e400\0-1\0soon",
        ];
        headers.iter().map(|text| text.as_bytes().to_vec()).collect()
    },
    words: &[
        "\0",
        "1e308",
        "inf",
        "NaN",
        "-0",
        "1",
        ".",
        "Sun, 06 Nov 1994 08:50:07 GMT",
        "9999",
        "Sat, 31 Dec 9999 23:59:59 GMT",
    ],
};

/// Whatever is asked, it is a time or nothing.
pub fn retry_after(input: &[u8]) {
    let parts: Vec<&[u8]> = input.splitn(3, |byte| *byte == 0).collect();
    let names = ["retry-after-ms", "retry-after", "date"];
    let headers: Vec<_> = names.into_iter().zip(parts).filter(|(_, value)| !value.is_empty()).collect();
    let _ = aimate_providers::fuzzing::retry_after(&headers);
}
