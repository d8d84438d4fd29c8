//! Texts that nobody would write.

use proptest::prelude::*;
use proptest::sample::select;

/// Signs of many kinds: scripts, marks, joiners, separators, markup.
const SIGNS: &str = "abcdeXYZ0189 \n\n\t.,;!?'’_-#*`>|éßÆİøñ\u{301}\u{308}жёЙїσςΆعربيةًहिन्दीதமிழ்\
    漢字日本ひらガー々ﾊﾞ\u{3099}한국\u{1112}\u{1161}ไทยก็ລາວခခမြန်ខ្មែរ😀👨\u{200D}👩\u{200D}👧🇩🇪ﬁﷺ㎏½²₂Ⅷ①\u{AD}\u{200C}\u{A0}\u{2028}。！\u{0}\u{10FFFF}";

/// A sign; now and then any character at all.
pub(crate) fn sign() -> impl Strategy<Value = char> {
    prop_oneof![15 => select(SIGNS.chars().collect::<Vec<_>>()), 1 => any::<char>()]
}

/// Signs in any order.
pub(crate) fn signs(max: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec(sign(), 0..max).prop_map(String::from_iter)
}
