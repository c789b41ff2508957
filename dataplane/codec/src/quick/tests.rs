use proptest::{
    prelude::*,
    sample::{Index, select},
};

use super::*;
use crate::{field::Field, generate, walk};

fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases.max(4000), failure_persistence: None, ..usual }
}

/// Has `check` look at bytes of all lengths below `longest`, with each byte at each place among others that are one of `around`.
fn each_byte_at_each_place(longest: usize, around: &[u8], check: impl Fn(&[u8], usize, u8)) {
    for length in 0..longest {
        for at in 0..length {
            for byte in 0..=u8::MAX {
                for around in around {
                    let mut bytes = vec![*around; length];
                    bytes[at] = byte;
                    check(&bytes, at, byte);
                }
            }
        }
    }
}

#[test]
fn every_byte_is_found_at_every_place() {
    each_byte_at_each_place(64, &[b'x', 0xff, 0x80], |bytes, at, byte| {
        let is_plain = byte >= b' ' && byte != 0x7f;
        assert_eq!(plain_len(bytes), if is_plain { bytes.len() } else { at }, "{bytes:?}");
    });
}

#[test]
fn every_byte_of_a_target_is_known_at_every_place() {
    each_byte_at_each_place(20, b"x!~>/", |bytes, at, byte| {
        let is_target = grammar::is_target_byte(byte);
        let expected = |is_part: bool| if is_part { bytes.len() } else { at };
        assert_eq!(target_len::<false>(bytes), expected(is_target), "{bytes:?}");
        assert_eq!(target_len::<true>(bytes), expected(is_target && byte != b'?'), "{bytes:?}");
    });
}

#[test]
fn every_byte_of_a_token_is_known_at_every_place() {
    each_byte_at_each_place(20, b"x-_9", |bytes, at, byte| {
        let expected = (!grammar::is_token_byte(byte)).then_some(at);
        assert_eq!(token_len(bytes), expected, "{bytes:?}");
    });
}

/// Name and value.
type Text = (Vec<u8>, Vec<u8>);

/// The lines of a head whose first line ends at `at`, if it is whole and right.
fn texts(bytes: &[u8], at: usize) -> Option<(usize, Vec<Text>)> {
    let mut fields = Fields::default();
    let end = lines(bytes, at, 100, &mut fields)?;
    let text = |span: Span| span.of(bytes).to_vec();
    Some((end, fields.lines().iter().map(|line| (text(line.name), text(line.value))).collect()))
}

fn of_httparse(headers: &[httparse::Header<'_>]) -> Vec<Text> {
    headers.iter().map(|header| (header.name.as_bytes().to_vec(), header.value.to_vec())).collect()
}

/// Names of all lengths, known ones and such that look like them.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let known = select(Field::KNOWN.to_vec()).prop_map(|field| field.name().as_bytes().to_vec());
    let other = proptest::collection::vec(select(b"abcXYZ-_09.".to_vec()), 1..30);
    let byte = prop_oneof![3 => select(b"-_.:xX ".to_vec()), 1 => any::<u8>()];
    let change = prop_oneof![5 => Just(None), 1 => (any::<Index>(), byte).prop_map(Some)];
    (prop_oneof![3 => known, 1 => other], any::<u32>(), change).prop_map(|(mut name, upper, change)| {
        for (_, byte) in name.iter_mut().enumerate().filter(|(at, _)| upper >> at & 1 == 1) {
            byte.make_ascii_uppercase();
        }
        if let Some((at, byte)) = change {
            let at = at.index(name.len());
            name[at] = byte;
        }
        name
    })
}

/// Values whose ends fall on every place of a word.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let blanks = || prop_oneof![6 => Just(""), 1 => select(vec![" ", "\t", "  ", " \t"])];
    let byte = prop_oneof![40 => select(b"ab:,=-~ \"\x80\xff".to_vec()), 1 => any::<u8>()];
    let text = proptest::collection::vec(byte, 0..40);
    (prop_oneof![6 => Just(" "), 1 => select(vec!["", "\t", "  "])], text, blanks())
        .prop_map(|(before, text, behind)| [before.as_bytes(), &text, behind.as_bytes()].concat())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn lines_are_read_as_the_slow_parser_reads_them(
        parts in proptest::collection::vec((name(), value()), 0..6), behind in 0..20_usize, most in 3..8_u16,
    ) {
        let mut bytes: Vec<u8> = Vec::new();
        for (name, value) in &parts {
            bytes.extend([name, &b":"[..], value, b"\r\n"].concat());
        }
        bytes.extend(b"\r\n");
        bytes.extend(vec![b'x'; behind]);
        let mut fields = Fields::default();
        // Twice into the same, as heads are used.
        for _ in 0..2 {
            let read = lines(&bytes, 0, most, &mut fields);
            let mut expected = Fields::default();
            let walked = walk::fields(&bytes, most, |name, value| {
                let _ = expected.add(name, value, name.of(&bytes), most);
            });
            prop_assert_eq!(read, walked.ok(), "{}", bytes.escape_ascii());
            if let Some(end) = read {
                expected.ends(end - 2);
                prop_assert_eq!(fields.lines(), expected.lines(), "{}", bytes.escape_ascii());
                for field in Field::KNOWN {
                    prop_assert_eq!(fields.first(field), expected.first(field));
                    prop_assert_eq!(fields.is_repeated(field), expected.is_repeated(field));
                }
                prop_assert_eq!(fields.kept().collect::<Vec<_>>(), expected.kept().collect::<Vec<_>>());
            }
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn another_parser_reads_the_same_requests(
        bytes in prop_oneof![4 => generate::request().boxed(), 1 => generate::noise().boxed()]
    ) {
        if let Some(line) = request_line(&bytes, 0)
            && let Some((end, lines)) = texts(&bytes, line.end)
        {
            let mut headers = [httparse::EMPTY_HEADER; 100];
            let mut other = httparse::Request::new(&mut headers);
            prop_assert_eq!(other.parse(&bytes), Ok(httparse::Status::Complete(end)));
            prop_assert_eq!(other.method.map(str::as_bytes), Some(line.method_name.of(&bytes)));
            prop_assert_eq!(line.method, Method::of(line.method_name.of(&bytes)));
            let question = line.target.of(&bytes).iter().position(|byte| *byte == b'?');
            prop_assert_eq!(line.question, question.map(|at| line.target.start + at as u32));
            prop_assert_eq!(other.path.map(str::as_bytes), Some(line.target.of(&bytes)));
            prop_assert_eq!(other.version, Some(u8::from(line.version == Version::Http11)));
            prop_assert_eq!(of_httparse(other.headers), lines);
        }
    }

    #[test]
    fn another_parser_reads_the_same_responses(
        bytes in prop_oneof![4 => generate::response().boxed(), 1 => generate::noise().boxed()]
    ) {
        if let Some(line) = status_line(&bytes)
            && let Some((end, lines)) = texts(&bytes, line.end)
        {
            let mut headers = [httparse::EMPTY_HEADER; 100];
            let mut other = httparse::Response::new(&mut headers);
            prop_assert_eq!(other.parse(&bytes), Ok(httparse::Status::Complete(end)));
            prop_assert_eq!(other.code, Some(line.status));
            prop_assert_eq!(other.version, Some(u8::from(line.version == Version::Http11)));
            let reason = line.reason.of(&bytes);
            prop_assert!(!reason.is_ascii() || other.reason.map(str::as_bytes) == Some(reason));
            prop_assert_eq!(of_httparse(other.headers), lines);
        }
    }
}
