//! Texts that nobody would write, the same at each run.

/// Signs of many kinds: scripts, marks, joiners, separators, markup.
const SIGNS: &str = "abcdeXYZ0189 \n\n\t.,;!?'’_-#*`>|éßÆİøñ\u{301}\u{308}жёЙїσςΆعربيةًहिन्दीதமிழ்\
    漢字日本ひらガー々ﾊﾞ\u{3099}한국\u{1112}\u{1161}ไทยก็ລາວခခမြန်ខ្មែរ😀👨\u{200D}👩\u{200D}👧🇩🇪ﬁﷺ㎏½²₂Ⅷ①\u{AD}\u{200C}\u{A0}\u{2028}。！\u{0}\u{10FFFF}";

/// The next number of a fixed series.
pub(crate) fn number(seed: &mut u64) -> usize {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    usize::try_from(*seed >> 33).unwrap_or_default()
}

/// The next sign; now and then any character at all.
pub(crate) fn character(seed: &mut u64) -> char {
    let number = number(seed);
    if number.is_multiple_of(16) {
        return char::from_u32(u32::try_from(number / 16 % 0x0011_0000).unwrap_or_default()).unwrap_or('a');
    }
    SIGNS.chars().nth(number % SIGNS.chars().count()).unwrap_or('a')
}
