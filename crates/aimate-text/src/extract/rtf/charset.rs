//! The encodings of RTF's fonts.

use encoding_rs::Encoding;

/// The encoding of a code page; Windows' Latin where it is not known.
pub(super) fn of_code_page(page: i32) -> &'static Encoding {
    let label = match page {
        866 => "ibm866",
        874 => "windows-874",
        932 => "shift_jis",
        936 | 54_936 => "gb18030",
        949 | 1_361 => "euc-kr",
        950 => "big5",
        1_250..=1_258 => {
            return Encoding::for_label(format!("windows-{page}").as_bytes())
                .unwrap_or(encoding_rs::WINDOWS_1252);
        }
        10_000 => "macintosh",
        10_007 => "x-mac-cyrillic",
        20_866 => "koi8-r",
        28_592 => "iso-8859-2",
        28_595 => "iso-8859-5",
        65_001 => "utf-8",
        _ => "windows-1252",
    };
    Encoding::for_label(label.as_bytes()).unwrap_or(encoding_rs::WINDOWS_1252)
}

/// The code page of a font's character set; `None` is that of the document.
pub(super) fn of_font(charset: i32) -> Option<i32> {
    Some(match charset {
        77 => 10_000,
        128 => 932,
        129 => 949,
        130 => 1_361,
        134 => 936,
        136 => 950,
        161 => 1_253,
        162 => 1_254,
        163 => 1_258,
        177 => 1_255,
        178 => 1_256,
        186 => 1_257,
        204 => 1_251,
        222 => 874,
        238 => 1_250,
        _ => return None,
    })
}
