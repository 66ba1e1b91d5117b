//! Text that Penguin's scanner reads and the parser here does not, rewritten so that it means the
//! same to both.
//!
//! Inside brackets and quotes Penguin ignores indentation, and a comment may follow a bracket or a
//! quote at once.

/// Room for what is inserted, beyond the length of the text.
const MAX_ADDED: usize = 1 << 20;

/// The text with lines inside brackets and quotes indented, and comments set apart.
pub fn relax(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut relaxer = Relaxer {
        limit: text.len() + MAX_ADDED,
        out: String::with_capacity(text.len()),
        chars,
        at: 0,
        line: 0,
        indents: Vec::new(),
        key: None,
        depth: 0,
    };
    while relaxer.at < relaxer.chars.len() {
        relaxer.token();
    }
    relaxer.out
}

struct Relaxer {
    chars: Vec<char>,
    out: String,
    limit: usize,
    at: usize,
    /// Where the line starts.
    line: usize,
    /// Columns of the block collections that are open.
    indents: Vec<usize>,
    /// Column of what becomes a key if a colon follows.
    key: Option<usize>,
    /// Brackets that are open.
    depth: usize,
}

impl Relaxer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn is_blank(&self, ahead: usize) -> bool {
        matches!(self.peek(ahead), None | Some(' ' | '\t' | '\n'))
    }

    fn spaces(&self, ahead: usize) -> usize {
        let rest = self.chars.get(self.at + ahead..).unwrap_or_default();
        count(rest, |c| c == ' ')
    }

    fn is_marker(&self) -> bool {
        is_marker(self.chars.get(self.at..).unwrap_or_default())
    }

    fn column(&self) -> usize {
        self.at - self.line
    }

    fn copy(&mut self) {
        if let Some(c) = self.peek(0) {
            self.out.push(c);
            self.at += 1;
            if c == '\n' {
                self.line = self.at;
            }
        }
    }

    fn copy_line(&mut self) {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.copy();
        }
    }

    /// The end of a line inside brackets or quotes: the next one is indented deeper than what
    /// surrounds it.
    fn newline(&mut self) {
        self.copy();
        let indent = self.spaces(0);
        let wanted = self.indents.last().map_or(0, |column| column + 2);
        let is_empty = matches!(self.peek(indent), None | Some('\n'));
        if !is_empty && !self.is_marker() && self.out.len() < self.limit {
            let missing = wanted.saturating_sub(indent);
            self.out.extend(std::iter::repeat_n(' ', missing));
        }
    }

    fn open_block(&mut self, column: usize) {
        if self.depth == 0 && self.indents.last().is_none_or(|last| *last < column) {
            self.indents.push(column);
        }
    }

    fn separate_comment(&mut self) {
        if self.peek(0) == Some('#') {
            self.out.push(' ');
        }
    }

    fn token(&mut self) {
        let column = self.column();
        let Some(c) = self.peek(0) else { return };
        match c {
            '\n' => {
                if self.depth > 0 {
                    self.newline();
                } else {
                    self.key = None;
                    self.copy();
                }
                return;
            }
            ' ' | '\t' => return self.copy(),
            '#' => return self.copy_line(),
            '%' if column == 0 => return self.copy_line(),
            _ if column == 0 && self.is_marker() => {
                self.indents.clear();
                (0..3).for_each(|_| self.copy());
                return;
            }
            _ => {}
        }
        if self.depth == 0 {
            while self.indents.pop_if(|open| *open > column).is_some() {}
        }
        let in_flow = self.depth > 0;
        match c {
            '-' | '?' if self.is_blank(1) => {
                self.open_block(column);
                self.copy();
            }
            ':' if self.is_blank(1) || in_flow => {
                self.open_block(self.key.unwrap_or(column));
                self.key = None;
                self.copy();
            }
            '[' | '{' | ']' | '}' | ',' => {
                if matches!(c, '[' | '{') {
                    self.start_key(column);
                    self.depth += 1;
                } else if c != ',' {
                    self.depth = self.depth.saturating_sub(1);
                }
                self.copy();
                self.separate_comment();
            }
            '"' | '\'' => {
                self.start_key(column);
                self.quoted(c);
                self.separate_comment();
            }
            '&' | '*' | '!' => {
                self.start_key(column);
                let flow_end = |c| in_flow && matches!(c, Some(',' | '[' | ']' | '{' | '}'));
                while !self.is_blank(0) && !flow_end(self.peek(0)) {
                    self.copy();
                }
            }
            '|' | '>' if !in_flow => self.block(),
            _ => {
                self.start_key(column);
                self.plain();
            }
        }
    }

    fn start_key(&mut self, column: usize) {
        if self.depth == 0 {
            self.key.get_or_insert(column);
        }
    }

    fn quoted(&mut self, quote: char) {
        self.copy();
        while let Some(c) = self.peek(0) {
            match c {
                '\n' => self.newline(),
                '\\' if quote == '"' => {
                    self.copy();
                    if self.peek(0) == Some('\n') {
                        self.newline();
                    } else {
                        self.copy();
                    }
                }
                '\'' if quote == '\'' && self.peek(1) == Some('\'') => {
                    self.copy();
                    self.copy();
                }
                c => {
                    self.copy();
                    if c == quote {
                        return;
                    }
                }
            }
        }
    }

    fn plain(&mut self) {
        let in_flow = self.depth > 0;
        while let Some(c) = self.peek(0) {
            let flow_end =
                |c: Option<char>| in_flow && matches!(c, Some(',' | '[' | ']' | '{' | '}'));
            let ends = c == ':' && (self.is_blank(1) || flow_end(self.peek(1)))
                || flow_end(Some(c))
                || c == '#' && self.at > 0 && matches!(self.chars[self.at - 1], ' ' | '\t' | '\n');
            if ends {
                return;
            }
            if c == '\n' {
                if in_flow {
                    self.newline();
                } else if let Some(blank) = self.continues() {
                    (0..blank).for_each(|_| self.copy());
                } else {
                    return;
                }
            } else {
                self.copy();
            }
        }
    }

    /// How many blanks and line ends are in between, where unquoted text goes on after this line.
    fn continues(&self) -> Option<usize> {
        let rest = self.chars.get(self.at..)?;
        let blank = count(rest, |c| matches!(c, ' ' | '\n'));
        let (between, next) = rest.split_at(blank);
        let column = between.iter().rev().take_while(|c| **c == ' ').count();
        let deeper = self.indents.last().is_none_or(|last| column > *last);
        let ends = column == 0 && is_marker(next) || matches!(next.first(), None | Some('#'));
        (deeper && !ends).then_some(blank)
    }

    /// A literal or folded block: lines at least as deep as its first.
    fn block(&mut self) {
        let least = self.indents.last().map_or(0, |column| column + 1);
        let mut header = (1..3).map_while(|ahead| self.peek(ahead).filter(|c| *c != '\n'));
        let given = header.find_map(|c| c.to_digit(10));
        let mut indent = given.map(|digit| (least + digit as usize).saturating_sub(1));
        self.copy_line();
        while self.peek(0) == Some('\n') {
            let spaces = self.spaces(1);
            let is_empty = matches!(self.peek(1 + spaces), None | Some('\n'));
            if !is_empty && spaces < *indent.get_or_insert(spaces.max(least)) {
                return;
            }
            self.copy();
            self.copy_line();
        }
    }
}

fn count(chars: &[char], such: impl Fn(char) -> bool) -> usize {
    chars.iter().take_while(|c| such(**c)).count()
}

/// Whether a document starts or ends here.
fn is_marker(rest: &[char]) -> bool {
    match rest {
        ['-', '-', '-', after @ ..] | ['.', '.', '.', after @ ..] => {
            matches!(after.first(), None | Some(' ' | '\t' | '\n'))
        }
        _ => false,
    }
}
