use std::sync::Arc;

use tokio_postgres::{Row, types::Type};

use super::{Decoding, Piece, Rows, call};
use crate::pg::{
    error::{Error, code},
    value::{
        Columns,
        answered::{data_row, rows},
        field::Field,
    },
};

/// The fields of all columns but the one at `position`.
fn columns(row: &Row, position: Option<usize>) -> Arc<Columns> {
    let columns = row.columns().iter().enumerate().filter(|&(index, _)| Some(index) != position);
    Arc::new(Columns::new(columns.map(|(_, column)| Field::new(column, &[])).collect(), position))
}

fn decoded(rows: &[Row], position: Option<usize>, calls: usize) -> Result<Vec<Rows>, Error> {
    let mut decoding = Decoding::new(columns(&rows[0], position), calls);
    for row in rows {
        decoding.add(row)?;
    }
    Ok(decoding.finish())
}

/// The first `count` values of a row, each with its bytes as a text.
fn values(rows: &Rows, index: usize, count: usize) -> Vec<(Piece, String)> {
    rows.values(index).take(count).map(|(piece, bytes)| (piece, String::from_utf8_lossy(bytes).into_owned())).collect()
}

fn position(call: i64) -> [u8; 8] {
    call.to_be_bytes()
}

#[test]
fn a_row_is_its_values_one_after_the_other_each_with_its_bytes() {
    let kinds = [Type::TEXT, Type::BOOL, Type::TEXT, Type::INT4_ARRAY, Type::BYTEA, Type::INT4, Type::INT8, Type::TEXT];
    let array =
        [&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 23, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 7][..], &[0xFF; 4]];
    let body = data_row(&[
        Some(b"ab"),
        Some(&[1]),
        Some("é".as_bytes()),
        Some(&array.concat()),
        Some(b"\0x"),
        None,
        Some(&7i64.to_be_bytes()),
        Some(b"end"),
    ]);
    let rows = rows(&kinds.map(|kind| ("a", kind)), &[body]).unwrap();
    let all = decoded(&rows, None, 1).unwrap();
    assert_eq!((all.len(), all[0].len(), all[0].is_empty()), (1, 1, false));
    let expected = [
        (Piece::Ascii(2), "ab"),
        (Piece::Boolean(true), ""),
        (Piece::Text(2), "é"),
        (Piece::Array(2), ""),
        (Piece::Number(7.0), ""),
        (Piece::Null, ""),
        (Piece::Bytes(2), "\0x"),
        (Piece::Null, ""),
        (Piece::Ascii(1), "7"),
        (Piece::Ascii(3), "end"),
    ];
    assert_eq!(values(&all[0], 0, 20), expected.map(|(piece, text)| (piece, text.to_owned())));
}

#[test]
fn rows_go_to_the_call_that_their_position_names_in_whatever_order_they_come() {
    let columns = [("id", Type::TEXT), ("position", Type::INT8), ("name", Type::TEXT)];
    let bodies = [("c", 3), ("a", 1), ("d", 3)]
        .map(|(text, call)| data_row(&[Some(text.as_bytes()), Some(&position(call)), Some(text.repeat(2).as_bytes())]));
    let rows = rows(&columns, &bodies).unwrap();
    let all = decoded(&rows, Some(1), 4).unwrap();
    assert_eq!(all.iter().map(Rows::len).collect::<Vec<_>>(), [1, 0, 2, 0]);
    assert_eq!(all.iter().map(Rows::is_empty).collect::<Vec<_>>(), [false, true, false, true]);
    let row = |rows: &Rows, index| values(rows, index, 2).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
    assert_eq!(row(&all[0], 0), ["a", "aa"]);
    assert_eq!([row(&all[2], 0), row(&all[2], 1)], [["c", "cc"], ["d", "dd"]]);
    assert_eq!(all[0].columns().fields.len(), 2);
}

#[test]
fn a_row_that_answers_no_call_is_an_invalid_answer() {
    let columns = [("position", Type::INT8)];
    for bytes in [Some(position(0)), Some(position(3)), Some(position(-1)), None] {
        let bytes = bytes.as_ref().map(|bytes| &bytes[..]);
        let rows = rows(&columns, &[data_row(&[bytes])]).unwrap();
        let error = decoded(&rows, Some(0), 2).map(drop).unwrap_err();
        assert_eq!(error.code(), code::INVALID_ANSWER, "{bytes:?}");
    }
    let rows = rows(&columns, &[data_row(&[Some(&position(2))]), data_row(&[Some(&[1; 4])])]).unwrap();
    assert_eq!([call(&rows[0], 0), call(&rows[1], 0)], [Some(1), None]);
}

#[test]
fn a_value_that_its_type_does_not_allow_is_an_invalid_answer_that_names_column_and_type() {
    let rows = rows(&[("id", Type::TEXT), ("age", Type::INT4)], &[data_row(&[None, Some(b"abc")])]).unwrap();
    let error = decoded(&rows, None, 1).map(drop).unwrap_err();
    assert_eq!(error.code(), code::INVALID_ANSWER);
    assert!(error.to_string().contains("\"age\"") && error.to_string().contains("int4"), "{error}");
}

#[test]
fn two_rows_beside_one_another_are_one_row_of_both_their_columns() {
    let one = |name: &str, text: &[u8]| {
        let rows = rows(&[(name, Type::TEXT)], &[data_row(&[Some(text)])]).unwrap();
        decoded(&rows, None, 1).unwrap().remove(0)
    };
    let both = one("session", b"s").beside(&one("user", b"uu"), |fields, split| {
        let names = fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>();
        assert_eq!((names, split), (vec!["session", "user"], 1));
        Arc::new(Columns::new(fields, Some(split)))
    });
    assert_eq!((both.len(), both.columns().first_table()), (1, 1));
    assert_eq!(values(&both, 0, 9), [(Piece::Ascii(1), "s".to_owned()), (Piece::Ascii(2), "uu".to_owned())]);
}
