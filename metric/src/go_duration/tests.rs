//! Durations that users type and read. The tables are answers of Go 1.26's `time` package.

use super::{format, parse, parse_long};

/// A text, its nanoseconds, and how Go prints these.
#[rustfmt::skip]
const ACCEPTED: &[(&str, i64, &str)] = &[
    ("0", 0, "0s"),
    ("-0", 0, "0s"),
    ("+0", 0, "0s"),
    ("0s", 0, "0s"),
    ("+5s", 5_000_000_000, "5s"),
    ("-5s", -5_000_000_000, "-5s"),
    (".5s", 500_000_000, "500ms"),
    ("1.s", 1_000_000_000, "1s"),
    ("1h30m", 5_400_000_000_000, "1h30m0s"),
    ("1m1m", 120_000_000_000, "2m0s"),
    ("1.5s.5s", 2_000_000_000, "2s"),
    ("12us", 12_000, "12\u{b5}s"),
    ("12\u{b5}s", 12_000, "12\u{b5}s"),
    ("12\u{3bc}s", 12_000, "12\u{b5}s"),
    ("0.3333333333333333333h", 1_200_000_000_000, "20m0s"),
    ("0.9223372036854775807h", 3_320_413_933_267, "55m20.413933267s"),
    ("0.9223372036854775808h", 3_320_413_933_267, "55m20.413933267s"),
    ("0.9223372036854775809h", 3_320_413_933_267, "55m20.413933267s"),
    ("0.92233720368547758071h", 3_320_413_933_267, "55m20.413933267s"),
    ("0.99999999999999999999999s", 1_000_000_000, "1s"),
    ("0.100000000000000000000h", 360_000_000_000, "6m0s"),
    ("0.1h", 360_000_000_000, "6m0s"),
    ("0.7m", 42_000_000_000, "42s"),
    ("0.000000001s", 1, "1ns"),
    ("0.0000000005s", 0, "0s"),
    ("0.9ns", 0, "0s"),
    ("1.9ns", 1, "1ns"),
    ("1.1us", 1_100, "1.1\u{b5}s"),
    ("1.0000000009us", 1_000, "1\u{b5}s"),
    ("0.83m", 49_800_000_000, "49.8s"),
    ("2.3h", 8_280_000_000_000, "2h18m0s"),
    ("39h9m14.425s", 140_954_425_000_000, "39h9m14.425s"),
    ("52763797000ns", 52_763_797_000, "52.763797s"),
    ("9007199254.740993ms", 9_007_199_254_740_993, "2501h59m59.254740993s"),
    ("9223372036854775807ns", i64::MAX, "2562047h47m16.854775807s"),
    ("-9223372036854775808ns", i64::MIN, "-2562047h47m16.854775808s"),
    ("9223372036854775.807us", i64::MAX, "2562047h47m16.854775807s"),
    ("-9223372036854775.808us", i64::MIN, "-2562047h47m16.854775808s"),
    ("9223372036s854ms775us807ns", i64::MAX, "2562047h47m16.854775807s"),
    ("-9223372036s854ms775us808ns", i64::MIN, "-2562047h47m16.854775808s"),
    ("-2562047h47m16.854775808s", i64::MIN, "-2562047h47m16.854775808s"),
    ("2562047h47m16.854775807s", i64::MAX, "2562047h47m16.854775807s"),
    ("9223372036854775808ns9223372036854775808ns", 0, "0s"),
    ("00000000000000000000000001s", 1_000_000_000, "1s"),
    ("+604040559.40ms", 604_040_559_400_000, "167h47m20.5594s"),
    ("1.0924558634175us70394244154\u{b5}s", 70_394_244_155_092, "19h33m14.244155092s"),
    ("479.06820297ns2562048.1610376\u{b5}s", 2_562_048_640, "2.56204864s"),
    ("78440533151.7ns", 78_440_533_151, "1m18.440533151s"),
    ("71152.7521431327236081877ns", 71_152, "71.152\u{b5}s"),
    ("+8443421336345.12\u{b5}s9.336969s", 8_443_430_673_314_120, "2345h23m50.67331412s"),
    ("+153722867ms171297710197.13376\u{3bc}s", 325_020_577_197_133, "90h17m0.577197133s"),
    ("319.m", 19_140_000_000_000, "5h19m0s"),
    ("+9166.39075us00000000000000000000000001us", 9_167_390, "9.16739ms"),
    ("-2130247.4297926843988488854\u{3bc}s4.535s", -6_665_247_429, "-6.665247429s"),
    ("+153722867.52976897272749\u{b5}s", 153_722_867_529, "2m33.722867529s"),
    ("+1.059ms153722867\u{3bc}s", 153_723_926_000, "2m33.723926s"),
    ("-3922594.0623255309s0.4828553\u{3bc}s", -3_922_594_062_326_012, "-1089h36m34.062326012s"),
    ("2310045768535234.5906208us", 2_310_045_768_535_234_590, "641679h22m48.53523459s"),
    ("31264192.0360718507\u{b5}s", 31_264_192_036, "31.264192036s"),
    ("+9.865672857979m", 591_940_371_478, "9m51.940371478s"),
    ("-153722867.8860594201435s7880ns", -153_722_867_886_067_300, "-42700h47m47.8860673s"),
    ("+.1130923434666h", 407_132_436_479, "6m47.132436479s"),
    ("-238024660792.787260040602\u{3bc}s", -238_024_660_792_787, "-66h7m4.660792787s"),
    ("402711.3758629511\u{3bc}s", 402_711_375, "402.711375ms"),
    ("27724675.39934377915577us2562048m", 153_722_907_724_675_399, "42700h48m27.724675399s"),
    ("-7.130887113472142717899s", -7_130_887_113, "-7.130887113s"),
    (".503789970ms2562047ms", 2_562_047_503_789, "42m42.047503789s"),
    ("-0m113377082.23763040s", -113_377_082_237_630_400, "-31493h38m2.2376304s"),
];

/// A text that is no duration, and what Go says about it.
#[rustfmt::skip]
const REFUSED: &[(&str, &str)] = &[
    ("", "time: invalid duration \"\""),
    ("+", "time: invalid duration \"+\""),
    ("-", "time: invalid duration \"-\""),
    ("00", "time: missing unit in duration \"00\""),
    ("--5s", "time: invalid duration \"--5s\""),
    ("+-5s", "time: invalid duration \"+-5s\""),
    (".s", "time: invalid duration \".s\""),
    (".", "time: invalid duration \".\""),
    ("1", "time: missing unit in duration \"1\""),
    ("1.", "time: missing unit in duration \"1.\""),
    ("1.5", "time: missing unit in duration \"1.5\""),
    ("s", "time: invalid duration \"s\""),
    ("5 s", "time: unknown unit \" s\" in duration \"5 s\""),
    (" 5s", "time: invalid duration \" 5s\""),
    ("5s ", "time: unknown unit \"s \" in duration \"5s \""),
    ("1h-1m", "time: unknown unit \"h-\" in duration \"1h-1m\""),
    ("1e3s", "time: unknown unit \"e\" in duration \"1e3s\""),
    ("1_000s", "time: unknown unit \"_\" in duration \"1_000s\""),
    ("1.5.5s", "time: missing unit in duration \"1.5.5s\""),
    ("12\u{b5}", "time: unknown unit \"\\xc2\\xb5\" in duration \"12\\xc2\\xb5\""),
    ("1S", "time: unknown unit \"S\" in duration \"1S\""),
    ("1d", "time: unknown unit \"d\" in duration \"1d\""),
    ("\u{661}s", "time: invalid duration \"\\xd9\\xa1s\""),
    ("3\u{e9}", "time: unknown unit \"\\xc3\\xa9\" in duration \"3\\xc3\\xa9\""),
    ("1\ns", "time: unknown unit \"\\x0as\" in duration \"1\\x0as\""),
    ("1\"s", "time: unknown unit \"\\\"s\" in duration \"1\\\"s\""),
    ("1\\s", "time: unknown unit \"\\\\s\" in duration \"1\\\\s\""),
    ("\u{2028}", "time: invalid duration \"\\xe2\\x80\\xa8\""),
    ("9223372036854775808ns", "time: invalid duration \"9223372036854775808ns\""),
    ("-9223372036854775809ns", "time: invalid duration \"-9223372036854775809ns\""),
    ("9223372036854775.808us", "time: invalid duration \"9223372036854775.808us\""),
    ("-9223372036s854ms775us809ns", "time: invalid duration \"-9223372036s854ms775us809ns\""),
    ("2562047h47m16.854775808s", "time: invalid duration \"2562047h47m16.854775808s\""),
    ("2562048h", "time: invalid duration \"2562048h\""),
    ("153722868m", "time: invalid duration \"153722868m\""),
    ("3000000h", "time: invalid duration \"3000000h\""),
    ("9223372036854775808ns1ns", "time: invalid duration \"9223372036854775808ns1ns\""),
    ("99999999999999999999ns", "time: invalid duration \"99999999999999999999ns\""),
    ("18446744073709551616ns", "time: invalid duration \"18446744073709551616ns\""),
];

#[test]
fn what_go_accepts_is_the_same_number_and_prints_the_same() {
    for (text, ns, printed) in ACCEPTED {
        assert_eq!(parse(text), Ok(*ns), "{text:?}");
        assert_eq!(parse_long(text), Ok(*ns), "{text:?}");
        assert_eq!(format(*ns), *printed, "{text:?}");
        assert_eq!(parse(printed), Ok(*ns), "what is printed can be read");
    }
}

#[test]
fn what_go_refuses_is_refused_in_its_words() {
    for (text, words) in REFUSED {
        assert_eq!(parse(text).unwrap_err().to_string(), *words, "{text:?}");
    }
}

#[test]
fn longer_units_are_read_where_they_may_be() {
    assert_eq!(parse_long("2d"), Ok(172_800_000_000_000));
    assert_eq!(parse_long("1w"), Ok(604_800_000_000_000));
    assert_eq!(parse_long("1y"), Ok(31_536_000_000_000_000));
    assert_eq!(parse_long("1.5d12h"), Ok(172_800_000_000_000));
    let words = "time: invalid duration \"300y\"";
    assert_eq!(parse_long("300y").unwrap_err().to_string(), words);
    let words = "time: unknown unit \"d\" in duration \"2d\"";
    assert_eq!(parse("2d").unwrap_err().to_string(), words);
}

#[test]
fn lengths_of_every_size_print_as_go_prints_them() {
    let cases = [
        (0, "0s"),
        (1, "1ns"),
        (999, "999ns"),
        (1_100, "1.1\u{b5}s"),
        (999_999, "999.999\u{b5}s"),
        (2_200_000, "2.2ms"),
        (3_300_000_000, "3.3s"),
        (60_000_000_000, "1m0s"),
        (245_001_000_000, "4m5.001s"),
        (3_600_000_000_001, "1h0m0.000000001s"),
        (18_367_001_000_000, "5h6m7.001s"),
        (172_800_000_000_000, "48h0m0s"),
        (-1_500_000_000, "-1.5s"),
    ];
    for (ns, text) in cases {
        assert_eq!(format(ns), text);
        assert_eq!(parse(text), Ok(ns), "what is printed can be read");
    }
}
