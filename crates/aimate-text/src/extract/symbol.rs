//! The characters of fonts that show others than their codes say.

/// `Symbol` from 0x20 on: mathematics and Greek.
const SYMBOL: &str =
    " !∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_‾αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼";
/// `Symbol` from 0xa1 on.
const SYMBOL_UPPER: &str = "ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…⏐⎯↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑";
/// What of `Wingdings` stands in texts.
const WINGDINGS: [(u32, char); 24] = [
    (0x4a, '☺'),
    (0x4c, '☹'),
    (0x6c, '●'),
    (0x6e, '■'),
    (0x6f, '□'),
    (0x71, '❑'),
    (0x76, '❖'),
    (0x78, '☒'),
    (0x9f, '•'),
    (0xa7, '▪'),
    (0xa8, '□'),
    (0xd8, '➢'),
    (0xdf, '←'),
    (0xe0, '→'),
    (0xe1, '↑'),
    (0xe2, '↓'),
    (0xe8, '➔'),
    (0xef, '⇦'),
    (0xf0, '⇨'),
    (0xf3, '⬄'),
    (0xfb, '✗'),
    (0xfc, '✓'),
    (0xfd, '☒'),
    (0xfe, '☑'),
];

/// The character that a font shows for a code, where the font is one of these.
pub(super) fn shown(font: &str, code: u32) -> Option<char> {
    // Word puts the codes into the private use area, or not.
    let code = if (0xf000..=0xf0ff).contains(&code) { code - 0xf000 } else { code };
    let nth = |table: &str, first: u32| table.chars().nth(usize::try_from(code.checked_sub(first)?).ok()?);
    match font.trim().to_ascii_lowercase().as_str() {
        "symbol" => nth(SYMBOL, 0x20).or_else(|| nth(SYMBOL_UPPER, 0xa1)),
        "wingdings" => WINGDINGS.iter().find(|(known, _)| *known == code).map(|(_, sign)| *sign),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_font() {
        let cases =
            [(0x61, 'α'), (0xf06d, 'μ'), (0x7e, '∼'), (0xa1, 'ϒ'), (0xb3, '≥'), (0xd6, '√'), (0xe5, '∑')];
        for (code, sign) in cases {
            assert_eq!(shown("Symbol", code), Some(sign), "{code:x}");
        }
        assert_eq!(shown("Wingdings", 0xf0e0), Some('→'));
        for (font, code) in
            [("Symbol", 0x1f), ("Symbol", 0x90), ("Symbol", 0x4e00), ("Wingdings", 0x20), ("Arial", 0x61)]
        {
            assert_eq!(shown(font, code), None, "{font} {code:x}");
        }
    }
}
