//! The tokens of RTF.

/// What comes next in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Open,
    Close,
    /// `\word`, with its number.
    Word(&'a str, Option<i32>),
    /// `\~` and other signs.
    Sign(u8),
    /// A byte of text, in the encoding of its font.
    Byte(u8),
}

pub(super) struct Tokens<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next_byte(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// Goes past bytes that are no RTF, such as those of a picture.
    pub(super) fn skip_bytes(&mut self, count: usize) {
        self.at = self.at.saturating_add(count).min(self.bytes.len());
    }

    fn control(&mut self) -> Option<Token<'a>> {
        let first = self.next_byte()?;
        if first == b'\'' {
            let digits = self.bytes.get(self.at..self.at + 2).and_then(|digits| str::from_utf8(digits).ok());
            let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            if byte.is_some() {
                self.at += 2;
            }
            return Some(Token::Byte(byte.unwrap_or(b'?')));
        }
        if !first.is_ascii_alphabetic() {
            return Some(Token::Sign(first));
        }
        let start = self.at - 1;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphabetic()) {
            self.at += 1;
        }
        let word =
            self.bytes.get(start..self.at).and_then(|word| str::from_utf8(word).ok()).unwrap_or_default();
        let number_start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        let number = self.bytes.get(number_start..self.at).and_then(|number| str::from_utf8(number).ok());
        let number = number.filter(|number| !number.is_empty());
        // A hyphen without digits is text.
        if number == Some("-") {
            self.at = number_start;
        } else if self.peek() == Some(b' ') {
            self.at += 1;
        }
        Some(Token::Word(word, number.and_then(|number| number.parse().ok())))
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            return match self.next_byte()? {
                b'{' => Some(Token::Open),
                b'}' => Some(Token::Close),
                b'\\' => self.control(),
                b'\r' | b'\n' | 0 => continue,
                byte => Some(Token::Byte(byte)),
            };
        }
    }
}
