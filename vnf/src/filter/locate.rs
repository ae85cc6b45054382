//! Where in an expression a mistake is. libpcap does not say it: of a syntax error, it is the first
//! word after which nothing that could follow makes it better; of other errors, the word of the
//! expression that the message is about.

use std::ops::Range;

use unicode_width::UnicodeWidthChar;

/// So much of a long expression is shown around the place.
const SHOWN: usize = 72;

/// Bytes of the expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place(Range<usize>);

/// What may follow where an expression breaks off, before what is open is closed.
const FILLERS: [&str; 6] = ["", " 1", " ip", " 1.2.3.4", " host 1.2.3.4", "-90"];

/// What makes a condition of a number.
const COMPARED: &str = " = 1";

/// So many brackets are tried to compare behind.
const DEEPEST: usize = 4;

/// So many words behind the first suspect may turn out to be fine.
const FURTHER: usize = 12;

impl Place {
    /// The text at the place; empty at the end.
    pub(super) fn text<'a>(&self, expression: &'a str) -> &'a str {
        expression.get(self.0.clone()).unwrap_or_default()
    }

    /// The word of the expression that a message is about: one that it quotes, a number that it
    /// names, any other word; the whole expression when there is none.
    pub(super) fn of_word(expression: &str, message: &str) -> Self {
        let quoted = message.split('\'').nth(1);
        let words = || message.split([' ', ',', ':', ';', '(', ')']).filter(|word| word.len() > 1);
        let numbers = words().filter(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        let others = words().filter(|word| !["or", "and", "not"].contains(word));
        let tokens = tokens(expression);
        let find = |word: &str| {
            tokens.iter().find(|&token| expression[token.clone()].eq_ignore_ascii_case(word))
        };
        let found = quoted.into_iter().chain(numbers).chain(others).find_map(find);
        Self(found.cloned().unwrap_or(0..expression.len()))
    }
}

/// Where a syntax error is; `parses` says whether a text has none.
pub(super) fn locate(expression: &str, parses: impl Fn(&str) -> bool) -> Place {
    let tokens = tokens(expression);
    let is_beginning =
        |token: &Range<usize>| endings(&expression[..token.end]).any(|whole| parses(&whole));
    // A beginning of a beginning is one as well, but for what the endings do not think of.
    let suspect = tokens.partition_point(is_beginning);
    let later = tokens.iter().skip(suspect).take(FURTHER).rposition(is_beginning);
    let wrong = suspect + later.map_or(0, |fine| fine + 1);
    Place(tokens.get(wrong).cloned().unwrap_or(expression.len()..expression.len()))
}

/// Whole expressions that begin like this, if anything does.
fn endings(beginning: &str) -> impl Iterator<Item = String> {
    let open = closing(beginning);
    FILLERS.iter().flat_map(move |filler| {
        let open = open.clone();
        let closed = format!("{beginning}{filler}{open}");
        let compared = (0..=open.len().min(DEEPEST)).map(move |depth| {
            let (inner, outer) = open.split_at(depth);
            format!("{beginning}{filler}{inner}{COMPARED}{outer}")
        });
        std::iter::once(closed).chain(compared)
    })
}

/// What closes the brackets that are open, the innermost first.
fn closing(text: &str) -> String {
    let mut open = Vec::new();
    for character in text.chars() {
        match character {
            '(' => open.push(')'),
            '[' => open.push(']'),
            ')' | ']' if open.last() == Some(&character) => _ = open.pop(),
            _ => {}
        }
    }
    open.into_iter().rev().collect()
}

/// Words, and signs one by one.
fn tokens(expression: &str) -> Vec<Range<usize>> {
    let is_word = |c: char| c.is_alphanumeric() || "._-:\\/".contains(c);
    let mut tokens: Vec<Range<usize>> = Vec::new();
    for (at, character) in expression.char_indices() {
        let end = at + character.len_utf8();
        match tokens.last_mut() {
            _ if character.is_whitespace() => {}
            Some(last)
                if last.end == at
                    && is_word(character)
                    && expression[last.clone()].chars().all(is_word) =>
            {
                last.end = end;
            }
            _ => tokens.push(at..end),
        }
    }
    tokens
}

/// A message with the expression below it, and the place marked.
pub(super) fn pointed_at(expression: &str, Place(place): Place, message: &str) -> String {
    let characters: Vec<char> = expression.chars().map(in_a_line).collect();
    let start = expression[..place.start].chars().count();
    let marked = expression[place].chars().count();
    let from = if characters.len() > SHOWN { start.saturating_sub(SHOWN / 2) } else { 0 };
    let to = characters.len().min(from + SHOWN);
    let (before, after) =
        (if from > 0 { "..." } else { "" }, if to < characters.len() { "..." } else { "" });
    let shown: String = characters[from..to].iter().collect();
    let spaces = " ".repeat(before.len() + columns(&characters[from..start]));
    let marks = "^".repeat(columns(&characters[start..to.min(start + marked)]).max(1));
    format!("{message}\n    {before}{shown}{after}\n    {spaces}{marks}")
}

/// What stands for a character where only one line is shown, and each has a known width.
fn in_a_line(character: char) -> char {
    if character.is_whitespace() || character.is_control() { ' ' } else { character }
}

/// Columns that a terminal shows characters in.
fn columns(characters: &[char]) -> usize {
    characters.iter().map(|character| character.width().unwrap_or(0)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_signs() {
        let words = |text: &'static str| -> Vec<&str> {
            tokens(text).into_iter().map(|token| &text[token]).collect()
        };
        assert_eq!(words("tcp[13] & 2!=0"), ["tcp", "[", "13", "]", "&", "2", "!", "=", "0"]);
        assert_eq!(
            words(" net 10.0.0.0/8\tor ip6 host fe80::1"),
            ["net", "10.0.0.0/8", "or", "ip6", "host", "fe80::1"]
        );
        assert!(words("  ").is_empty());
    }

    #[test]
    fn long_expressions_are_shown_in_part() {
        let expression = format!("{} or frob", "host 192.0.2.1 or ".repeat(20));
        let place = Place::of_word(&expression, "no 'frob'");
        let text = pointed_at(&expression, place, "no");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].starts_with("    ...") && lines[1].ends_with("or frob"), "{text}");
        assert_eq!(lines[1].find("frob"), lines[2].find('^'), "{text}");
        assert!(lines[1].len() < 100, "{text}");
    }

    #[test]
    fn marks_stand_below_what_they_mark_whatever_is_in_front() {
        for (front, columns) in [("ip or\t", 6), ("ip or\r\n", 7), ("日本 ", 5), ("e\u{301} ", 2)]
        {
            let expression = format!("{front}frob");
            let text = pointed_at(&expression, Place::of_word(&expression, "no 'frob'"), "no");
            let lines: Vec<_> = text.lines().collect();
            assert_eq!(lines[2], format!("    {}^^^^", " ".repeat(columns)), "{text}");
            assert!(!lines[1].contains('\t'), "{text}");
        }
        let text = pointed_at("日本", Place(0..6), "no");
        assert!(text.ends_with("    ^^^^"), "{text}");
    }
}
