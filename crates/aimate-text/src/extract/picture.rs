//! What the authors of documents say about their pictures.

use super::line::clean_line;

/// The ends of names of files that hold pictures.
const ENDS: [&str; 11] =
    [".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".svg", ".webp", ".emf", ".wmf"];
/// What programs call a picture, with a number perhaps.
const NAMES: [&str; 10] =
    ["image", "img", "picture", "photo", "graphic", "object", "bild", "grafik", "imagen", "рисунок"];

/// A picture with its description, as Markdown has it; `None` where the description says
/// nothing about it, such as the name of a file.
pub(super) fn described(description: &str) -> Option<String> {
    let text = clean_line(description).replace('[', "(").replace(']', ")");
    is_description(&text).then(|| format!("![{text}]()"))
}

fn is_description(text: &str) -> bool {
    let small = text.to_lowercase();
    let is_file = ENDS.iter().any(|end| small.contains(end))
        && (small.contains(['/', '\\']) || !small.contains(char::is_whitespace));
    let name = small.trim_end_matches(|one: char| one.is_ascii_digit() || " _-.".contains(one));
    small.contains(char::is_alphanumeric) && !is_file && !small.contains("://") && !NAMES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_told_and_names_of_files_are_not() {
        assert_eq!(described(" A duck\nwith [one] hat ").as_deref(), Some("![A duck with (one) hat]()"));
        assert_eq!(described("π").as_deref(), Some("![π]()"));
        assert_eq!(described("a photo of duck.png").as_deref(), Some("![a photo of duck.png]()"));
        for name in [
            "",
            " - ",
            "duck.PNG",
            "C:\\my pictures\\duck.jpg",
            "https://a.example/b",
            "Picture 12",
            "image_1",
        ] {
            assert_eq!(described(name), None, "{name}");
        }
    }
}
