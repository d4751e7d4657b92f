//! Splits a query's text into tokens, one at a time, as the parser asks for them.
//!
//! The meaning of a character depends on its context: between braces every word is a name and `=~`
//! exists; between brackets there are durations and `:`. So the lexer tracks what is open. It also
//! detects what only it can see: unclosed brackets, bad escapes, bad numbers.
//!
//! Always holds: the escapes in a string token are valid, so unquoting fails only if its bytes are
//! not UTF-8. Every token begins and ends at a character boundary.

use super::BinaryOp;
use super::quote::{code_point, quote, quote_char};
use super::token::{Keyword, Kind, Token, duration_keyword, keyword};

/// What is wrong with the text at `start`.
#[derive(Debug)]
pub(super) struct LexError {
    pub(super) start: u32,
    pub(super) message: String,
}

/// The context of the next token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ground {
    /// Everywhere else; open braces are checked first.
    Plain,
    /// Between brackets, before the first number: only durations are allowed.
    Brackets,
}

/// The state of the lexer.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    start: usize,
    ground: Ground,
    parens: u32,
    braces: bool,
    brackets: bool,
    colon: bool,
    duration: bool,
}

type Word = Result<Kind, LexError>;

impl<'a> Lexer<'a> {
    /// A lexer at the start of `text`, which is shorter than 4 GiB.
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            start: 0,
            ground: Ground::Plain,
            parens: 0,
            braces: false,
            brackets: false,
            colon: false,
            duration: false,
        }
    }

    /// The next token; [`Kind::End`] at the end.
    pub(super) fn next(&mut self) -> Result<Token, LexError> {
        self.skip_blank();
        self.start = self.at;
        let kind = match self.ground {
            Ground::Brackets => self.in_brackets(),
            Ground::Plain if self.braces => self.in_braces(),
            Ground::Plain => self.in_statement(),
        }?;
        Ok(Token { kind, start: offset(self.start), end: offset(self.at) })
    }

    /// Skips spaces and, where they are allowed, comments.
    fn skip_blank(&mut self) {
        loop {
            while self.peek_byte().is_some_and(is_space) {
                self.at += 1;
            }
            if self.ground == Ground::Brackets || self.peek_byte() != Some(b'#') {
                return;
            }
            while self.peek_byte().is_some_and(|b| b != b'\n' && b != b'\r') {
                self.at += 1;
            }
        }
    }

    fn in_statement(&mut self) -> Word {
        let Some(c) = self.bump() else { return self.at_end() };
        Ok(match c {
            ',' => Kind::Comma,
            '@' => Kind::At,
            '(' => self.open_paren(),
            ')' => return self.close_paren(),
            '{' => {
                self.braces = true;
                Kind::LeftBrace
            }
            '[' if self.brackets => {
                return self.fail("unexpected left bracket '['");
            }
            '[' => {
                self.colon = false;
                self.brackets = true;
                self.ground = Ground::Brackets;
                Kind::LeftBracket
            }
            ']' if !self.brackets => {
                return self.fail("unexpected right bracket ']'");
            }
            ']' => {
                self.brackets = false;
                Kind::RightBracket
            }
            '=' | '!' | '<' | '>' => return self.comparison(c),
            '"' | '\'' => return self.string(c),
            '`' => return self.raw_string(),
            '0'..='9' => return self.number_or_duration(),
            '.' if self.peek_byte().is_some_and(|b| b.is_ascii_digit()) => {
                return self.number_or_duration();
            }
            ':' if !self.brackets => return Ok(self.word()),
            ':' if self.colon => return self.fail("unexpected colon ':'"),
            ':' => {
                self.colon = true;
                Kind::Colon
            }
            _ if is_alpha(c) && !self.brackets => return Ok(self.word()),
            _ if is_alpha(c) => match self.duration_word() {
                Some(key) => Kind::Key(key),
                None => {
                    let found = quote_char(Some(c));
                    return self.fail(format!("unexpected character: {found}, expected ':'"));
                }
            },
            _ => match arithmetic(c) {
                Some(op) => Kind::Op(op),
                None => {
                    return self.fail(format!("unexpected character: {}", quote_char(Some(c))));
                }
            },
        })
    }

    fn at_end(&self) -> Word {
        if self.parens != 0 {
            return self.fail("unclosed left parenthesis");
        }
        if self.brackets {
            return self.fail("unclosed left bracket");
        }
        Ok(Kind::End)
    }

    fn open_paren(&mut self) -> Kind {
        self.parens += 1;
        Kind::LeftParen
    }

    fn close_paren(&mut self) -> Word {
        if self.parens == 0 {
            // Prometheus reports the position after the parenthesis.
            self.start = self.at;
            return self.fail("unexpected right parenthesis ')'");
        }
        self.parens -= 1;
        Ok(Kind::RightParen)
    }

    /// A token that begins with `=`, `!`, `<` or `>` outside braces.
    fn comparison(&mut self, first: char) -> Word {
        let second = self.peek_char();
        let (kind, len) = match (first, second) {
            ('=', Some('=')) => (Kind::Op(BinaryOp::Eql), 1),
            ('=', Some('~')) => return self.fail("unexpected character after '=': '~'"),
            ('=', _) => (Kind::Equal, 0),
            ('!', Some('=')) => (Kind::Op(BinaryOp::Neq), 1),
            ('!', other) => {
                return self.fail(format!("unexpected character after '!': {}", quote_char(other)));
            }
            ('<', Some('=')) => (Kind::Op(BinaryOp::Lte), 1),
            ('<', Some('/')) => (Kind::TrimUpper, 1),
            ('<', _) => (Kind::Op(BinaryOp::Lss), 0),
            (_, Some('=')) => (Kind::Op(BinaryOp::Gte), 1),
            (_, Some('/')) => (Kind::TrimLower, 1),
            _ => (Kind::Op(BinaryOp::Gtr), 0),
        };
        self.at += len;
        Ok(kind)
    }

    fn in_brackets(&mut self) -> Word {
        let Some(c) = self.bump() else {
            return self.fail("unexpected end of input in duration expression");
        };
        Ok(match c {
            ']' => {
                self.brackets = false;
                self.colon = false;
                self.ground = Ground::Plain;
                Kind::RightBracket
            }
            ':' => {
                // Prometheus reports the position after the colon.
                if !self.duration {
                    self.start = self.at;
                    return self.fail("unexpected colon before duration in duration expression");
                }
                if self.colon {
                    self.start = self.at;
                    return self.fail("unexpected repeated colon in duration expression");
                }
                self.colon = true;
                Kind::Colon
            }
            '(' => self.open_paren(),
            ')' => return self.close_paren(),
            ',' => Kind::Comma,
            _ if c.is_ascii_digit()
                || c == '.' && self.peek_byte().is_some_and(|b| b.is_ascii_digit()) =>
            {
                self.duration = true;
                self.ground = Ground::Plain;
                return self.number_or_duration();
            }
            _ => {
                let key = if is_alpha(c) { self.duration_word() } else { None };
                match key.map(Kind::Key).or_else(|| arithmetic(c).map(Kind::Op)) {
                    Some(kind) => kind,
                    None => {
                        return self.fail(format!(
                            "unexpected character in duration expression: {}",
                            quote_char(Some(c))
                        ));
                    }
                }
            }
        })
    }

    fn in_braces(&mut self) -> Word {
        let Some(c) = self.bump() else {
            return self.fail("unexpected end of input inside braces");
        };
        Ok(match c {
            ',' => Kind::Comma,
            '}' => {
                self.braces = false;
                Kind::RightBrace
            }
            '{' => return self.fail("unexpected left brace '{'"),
            '"' | '\'' => return self.string(c),
            '`' => return self.raw_string(),
            '=' if self.peek_byte() == Some(b'~') => {
                self.at += 1;
                Kind::EqualRegex
            }
            '=' => Kind::Equal,
            '!' => match self.bump() {
                Some('~') => Kind::NotEqualRegex,
                Some('=') => Kind::Op(BinaryOp::Neq),
                other => {
                    return self.fail(format!(
                        "unexpected character after '!' inside braces: {}",
                        quote_char(other)
                    ));
                }
            },
            _ if is_alpha(c) => {
                self.skip_while(|b| is_alpha(char::from(b)) || b.is_ascii_digit());
                Kind::Identifier
            }
            _ => {
                return self
                    .fail(format!("unexpected character inside braces: {}", quote_char(Some(c))));
            }
        })
    }

    /// A name or a keyword, after its first character.
    fn word(&mut self) -> Kind {
        self.skip_while(|b| is_alpha(char::from(b)) || b.is_ascii_digit() || b == b':');
        let word = &self.text[self.start..self.at];
        match keyword(word) {
            // Metrics called `fill` existed before the modifiers, so only `fill (` is one.
            Some(Kind::Key(Keyword::Fill | Keyword::FillLeft | Keyword::FillRight))
                if !self.paren_follows() =>
            {
                Kind::Identifier
            }
            Some(kind) => kind,
            None if word.contains(':') => Kind::MetricIdentifier,
            None => Kind::Identifier,
        }
    }

    fn paren_follows(&self) -> bool {
        let rest = &self.text.as_bytes()[self.at..];
        rest.iter().find(|&&b| !is_space(b)) == Some(&b'(')
    }

    /// A word between brackets, after its first letter; `None` if it is not one of those allowed
    /// there.
    fn duration_word(&mut self) -> Option<Keyword> {
        self.skip_while(|b| is_alpha(char::from(b)));
        let word = &self.text[self.start..self.at];
        duration_keyword(word.to_ascii_lowercase().as_bytes())
    }

    fn number_or_duration(&mut self) -> Word {
        self.at = self.start;
        if self.number() {
            return Ok(Kind::Number);
        }
        if self.duration_units() {
            return Ok(Kind::Duration);
        }
        let read = quote(&self.text[self.start..self.at]);
        self.fail(format!("bad number or duration syntax: {read}"))
    }

    /// The rest of a duration, after its first digits.
    fn duration_units(&mut self) -> bool {
        if !self.accept(b"smhdwy") {
            return false;
        }
        // Accepts `ms`. That `hs` is wrong is detected when the duration is parsed.
        self.accept(b"s");
        while self.accept(b"0123456789") {
            self.skip_while(|b| b.is_ascii_digit());
            if !self.accept(b"smhdw") {
                return false;
            }
            self.accept(b"s");
        }
        match self.peek_char() {
            Some(c) if is_alpha(c) || c.is_ascii_digit() => {
                // The message includes the character that is too many.
                self.at += 1;
                false
            }
            _ => true,
        }
    }

    /// Reads what looks like a number; its parser decides whether it is valid.
    fn number(&mut self) -> bool {
        let mut digits: &[u8] = b"0123456789";
        if self.accept(b"0") && self.accept(b"xX") {
            self.accept(b"_");
            digits = b"0123456789abcdefABCDEF";
        }
        self.accept(b".");
        self.accept(digits);
        let (mut dot, mut exponent) = (false, false);
        while let Some(next) = self.peek_byte() {
            let is_digit = digits.contains(&next);
            match next {
                b'.' => {
                    self.at += 1;
                    // A hexadecimal number has no fraction.
                    if dot || self.accept(b"_.") || digits.len() > 10 {
                        return false;
                    }
                    dot = true;
                }
                b'e' | b'E' => {
                    self.at += 1;
                    if exponent {
                        return false;
                    }
                    exponent = true;
                    self.accept(b"+-");
                    if self.accept(b"._eE") || self.peek_byte().is_none() {
                        return false;
                    }
                }
                b'_' => {
                    self.at += 1;
                    if self.accept(b"._eE") || self.peek_byte().is_none() {
                        return false;
                    }
                }
                _ if is_digit => self.skip_while(|b| digits.contains(&b)),
                _ => break,
            }
        }
        !self.peek_char().is_some_and(|c| is_alpha(c) || c.is_ascii_digit())
    }

    /// A string, after its opening `quote`.
    fn string(&mut self, quote: char) -> Word {
        loop {
            match self.bump() {
                None | Some('\n') => return self.fail("unterminated quoted string"),
                Some(char::REPLACEMENT_CHARACTER) => return self.fail("invalid UTF-8 rune"),
                Some('\\') => self.escape(quote)?,
                Some(c) if c == quote => return Ok(Kind::String),
                Some(_) => {}
            }
        }
    }

    fn raw_string(&mut self) -> Word {
        loop {
            match self.bump() {
                None => return self.fail("unterminated raw string"),
                Some(char::REPLACEMENT_CHARACTER) => return self.fail("invalid UTF-8 rune"),
                Some('`') => return Ok(Kind::String),
                Some(_) => {}
            }
        }
    }

    /// An escape, after its backslash.
    fn escape(&mut self, quote: char) -> Result<(), LexError> {
        let (digits, radix, max) = match self.bump() {
            None => return self.fail("escape sequence not terminated"),
            Some('a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\') => return Ok(()),
            Some(c) if c == quote => return Ok(()),
            Some('0'..='7') => {
                self.at -= 1;
                (3, 8, 0xff)
            }
            Some('x') => (2, 16, 0xff),
            Some('u') => (4, 16, u32::from(char::MAX)),
            Some('U') => (8, 16, u32::from(char::MAX)),
            Some(other) => {
                return self.fail(format!("unknown escape sequence {}", code_point(other)));
            }
        };
        let mut code = 0u32;
        for _ in 0..digits {
            let Some(c) = self.bump() else { return self.fail("escape sequence not terminated") };
            let Some(digit) = c.to_digit(radix) else {
                let found = code_point(c);
                return self.fail(format!("illegal character {found} in escape sequence"));
            };
            code = code.wrapping_mul(radix).wrapping_add(digit);
        }
        if code > max || (0xd800..0xe000).contains(&code) {
            return self.fail("escape sequence is an invalid Unicode code point");
        }
        Ok(())
    }

    fn fail<T>(&self, message: impl Into<String>) -> Result<T, LexError> {
        Err(LexError { start: offset(self.start), message: message.into() })
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek_char()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn peek_char(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn peek_byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Reads one byte if it is one of `valid`, all ASCII.
    fn accept(&mut self, valid: &[u8]) -> bool {
        let found = self.peek_byte().is_some_and(|b| valid.contains(&b));
        self.at += usize::from(found);
        found
    }

    fn skip_while(&mut self, wanted: impl Fn(u8) -> bool) {
        while self.peek_byte().is_some_and(&wanted) {
            self.at += 1;
        }
    }
}

fn arithmetic(c: char) -> Option<BinaryOp> {
    Some(match c {
        '+' => BinaryOp::Add,
        '-' => BinaryOp::Sub,
        '*' => BinaryOp::Mul,
        '/' => BinaryOp::Div,
        '%' => BinaryOp::Mod,
        '^' => BinaryOp::Pow,
        _ => return None,
    })
}

fn is_alpha(c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic()
}

fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r')
}

/// An offset into a text whose length the parser has checked.
fn offset(at: usize) -> u32 {
    u32::try_from(at).expect("the text is shorter than the limit")
}
