//! Numbers as Prometheus computes and prints them: compensated sums, Go's minimum and maximum, Go's
//! `%g`, and calendar dates.

/// Adds `value` to a running sum with Neumaier's compensation `c`.
#[inline]
pub(crate) fn add_compensated(value: f64, sum: f64, c: f64) -> (f64, f64) {
    let total = sum + value;
    let c = if total.is_infinite() {
        0.0
    } else if sum.abs() >= value.abs() {
        c + ((sum - total) + value)
    } else {
        c + ((value - total) + sum)
    };
    (total, c)
}

/// Go's `math.Max`: +Inf wins over NaN, and NaN over everything else.
pub(crate) fn go_max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == 0.0 && b == 0.0 {
        if a.is_sign_negative() { b } else { a }
    } else if a > b {
        a
    } else {
        b
    }
}

/// Go's `math.Min`: -Inf wins over NaN, and NaN over everything else.
pub(crate) fn go_min(a: f64, b: f64) -> f64 {
    if a == f64::NEG_INFINITY || b == f64::NEG_INFINITY {
        f64::NEG_INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == 0.0 && b == 0.0 {
        if a.is_sign_negative() { a } else { b }
    } else if a < b {
        a
    } else {
        b
    }
}

/// Orders NaN before every number, as Prometheus does when it sorts samples by value.
pub(crate) fn nan_first(a: f64, b: f64) -> std::cmp::Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => std::cmp::Ordering::Equal,
        (true, false) => std::cmp::Ordering::Less,
        (false, true) => std::cmp::Ordering::Greater,
        (false, false) => a.partial_cmp(&b).expect("neither is NaN"),
    }
}

/// Quantile `q` of `values`, which it sorts; NaN counts as the smallest value.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_unstable_by(|a, b| nan_first(*a, *b));
    #[allow(clippy::cast_precision_loss, reason = "far fewer than 2^53 values")]
    let last = (values.len() - 1) as f64;
    let rank = q * last;
    let lower = rank.floor().max(0.0);
    let upper = (lower + 1.0).min(last);
    let weight = rank - rank.floor();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 ..= last")]
    let (lower, upper) = (lower as usize, upper as usize);
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// Whether `a` and `b` differ by less than `epsilon` of their sum.
pub(crate) fn almost_equal(a: f64, b: f64, epsilon: f64) -> bool {
    if a.is_nan() && b.is_nan() || a == b {
        return true;
    }
    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < epsilon * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < epsilon
}

/// Go's `FormatFloat(v, 'f', -1, 64)`: shortest digits, never an exponent.
pub(crate) fn decimal(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else {
        special(value).unwrap_or_else(|| format!("{value}"))
    }
}

fn special(value: f64) -> Option<String> {
    if value.is_nan() {
        Some("NaN".to_owned())
    } else if value.is_infinite() {
        Some(if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned())
    } else {
        None
    }
}

/// Go's `%g` of `value`; `precision` is the number of significant digits, `None` for shortest.
pub(crate) fn general(value: f64, precision: Option<usize>) -> String {
    if let Some(text) = special(value) {
        return text;
    }
    let scientific = match precision {
        None => format!("{value:e}"),
        Some(digits) => format!("{:.*e}", digits.max(1) - 1, value),
    };
    let (mantissa, exponent) = scientific.split_once('e').expect("Rust writes an exponent");
    let exponent: i32 = exponent.parse().expect("Rust writes a decimal exponent");
    let negative = mantissa.starts_with('-');
    let mut digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    while digits.len() > 1 && digits.ends_with('0') {
        digits.pop();
    }
    let count = i32::try_from(digits.len()).expect("at most 17 digits");
    let limit = match precision {
        None => 6,
        Some(p) => {
            let p = i32::try_from(p.max(1)).unwrap_or(i32::MAX);
            if p > count && count > exponent { count } else { p }
        }
    };
    let mut out = String::new();
    if negative {
        out.push('-');
    }
    if exponent < -4 || exponent >= limit {
        push_exponential(&mut out, &digits, exponent);
    } else {
        push_plain(&mut out, &digits, exponent);
    }
    out
}

fn push_exponential(out: &mut String, digits: &str, exponent: i32) {
    use std::fmt::Write;
    out.push_str(&digits[..1]);
    if digits.len() > 1 {
        out.push('.');
        out.push_str(&digits[1..]);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    write!(out, "e{sign}{:02}", exponent.abs()).expect("writing to a String succeeds");
}

fn push_plain(out: &mut String, digits: &str, exponent: i32) {
    let Ok(whole) = usize::try_from(exponent + 1) else {
        out.push_str("0.");
        (0..-(exponent + 1)).for_each(|_| out.push('0'));
        out.push_str(digits);
        return;
    };
    if whole == 0 {
        out.push_str("0.");
        out.push_str(digits);
    } else if digits.len() <= whole {
        out.push_str(digits);
        (digits.len()..whole).for_each(|_| out.push('0'));
    } else {
        out.push_str(&digits[..whole]);
        out.push('.');
        out.push_str(&digits[whole..]);
    }
}

/// A moment in the proleptic Gregorian calendar, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    /// 1 ..= 12
    pub(crate) month: i64,
    /// 1 ..= 31
    pub(crate) day: i64,
    /// 0 ..= 6, Sunday first
    pub(crate) weekday: i64,
    /// 1 ..= 366
    pub(crate) yearday: i64,
    /// 0 ..= 86399
    pub(crate) second: i64,
}

/// Days between the zero of Go's unsigned clock and 1970-01-01. Go counts seconds from there in 64
/// bits and wraps. We do the same, so that date functions agree for extreme values.
const ABSOLUTE_DAYS: i64 = 106_751_991_073_400;

/// The moment `seconds` after 1970-01-01T00:00:00Z.
pub(crate) fn civil(seconds: i64) -> Civil {
    let zero = ABSOLUTE_DAYS.cast_unsigned() * 86_400;
    let absolute = seconds.cast_unsigned().wrapping_add(zero);
    let days = (absolute / 86_400).cast_signed() - ABSOLUTE_DAYS;
    let second = (absolute % 86_400).cast_signed();
    // Years are counted from March, so that the leap day is the last of its year.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let from_march = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * from_march + 2) / 153;
    let day = from_march - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let before: i64 = (1..month).map(|m| days_in_month(year, m)).sum();
    Civil { year, month, day, weekday: (days + 4).rem_euclid(7), yearday: before + day, second }
}

/// Days of month `month` (1 ..= 12).
pub(crate) fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// `seconds` since the epoch as RFC 3339.
pub(crate) fn rfc3339(seconds: i64) -> String {
    let at = civil(seconds);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        at.year,
        at.month,
        at.day,
        at.second / 3_600,
        at.second / 60 % 60,
        at.second % 60
    )
}

/// Go's conversion of a float to a 64-bit integer on amd64: values that do not fit become the
/// minimum.
pub(crate) fn to_integer(value: f64) -> i64 {
    let range = -9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0;
    if !range.contains(&value) {
        i64::MIN
    } else {
        #[allow(clippy::cast_possible_truncation, reason = "the range was checked")]
        let whole = value as i64;
        whole
    }
}

/// Milliseconds as seconds.
pub(crate) fn seconds(ms: i64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "as Prometheus converts")]
    let ms = ms as f64;
    ms / 1000.0
}

/// A count as a float.
#[allow(clippy::cast_precision_loss, reason = "counts stay far under 2^53")]
pub(crate) const fn float(count: usize) -> f64 {
    count as f64
}

/// XXH64 with seed 0, the hash behind Prometheus' `limit_ratio`.
pub(crate) fn xxh64(mut data: &[u8]) -> u64 {
    const P1: u64 = 0x9E37_79B1_85EB_CA87;
    const P2: u64 = 0xC2B2_AE3D_27D4_EB4F;
    const P3: u64 = 0x1656_67B1_9E37_79F9;
    const P4: u64 = 0x85EB_CA77_C2B2_AE63;
    const P5: u64 = 0x27D4_EB2F_1656_67C5;
    let round = |acc: u64, word: u64| {
        acc.wrapping_add(word.wrapping_mul(P2)).rotate_left(31).wrapping_mul(P1)
    };
    let word = |b: &[u8]| u64::from_le_bytes(b[..8].try_into().expect("eight bytes"));
    let length = data.len() as u64;
    let mut hash = if data.len() >= 32 {
        let mut lanes = [P1.wrapping_add(P2), P2, 0, 0u64.wrapping_sub(P1)];
        while data.len() >= 32 {
            for (i, lane) in lanes.iter_mut().enumerate() {
                *lane = round(*lane, word(&data[i * 8..]));
            }
            data = &data[32..];
        }
        let mut hash = [1u32, 7, 12, 18]
            .iter()
            .zip(lanes)
            .fold(0u64, |h, (&turn, lane)| h.wrapping_add(lane.rotate_left(turn)));
        for lane in lanes {
            hash = (hash ^ round(0, lane)).wrapping_mul(P1).wrapping_add(P4);
        }
        hash
    } else {
        P5
    };
    hash = hash.wrapping_add(length);
    while data.len() >= 8 {
        hash = (hash ^ round(0, word(data))).rotate_left(27).wrapping_mul(P1).wrapping_add(P4);
        data = &data[8..];
    }
    if data.len() >= 4 {
        let half = u32::from_le_bytes(data[..4].try_into().expect("four bytes"));
        hash = (hash ^ u64::from(half).wrapping_mul(P1)).rotate_left(23).wrapping_mul(P2);
        hash = hash.wrapping_add(P3);
        data = &data[4..];
    }
    for &byte in data {
        hash = (hash ^ u64::from(byte).wrapping_mul(P5)).rotate_left(11).wrapping_mul(P1);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(P2);
    hash = (hash ^ (hash >> 29)).wrapping_mul(P3);
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests;
