//! Touches over time, by channel: a picture, and the same as rows.

use std::collections::BTreeMap;

use super::{text::Lang, time::Times};

/// Width of the drawing. Unit: its own pixels.
pub const WIDTH: i64 = 960;
/// Where the time line begins, right of the channels' names.
const LEFT: i64 = 150;
/// Where it ends.
const RIGHT: i64 = WIDTH - 24;
/// Height of one channel's row.
const ROW: i64 = 34;
/// Most channels with a row of their own; the rarest share the last.
const CHANNELS_MAX: usize = 10;

/// One touch to draw.
pub struct Touch {
    /// Event time. Unit: ms since 1970.
    pub at_ms: i64,
    /// Channel; empty when it has none.
    pub channel: String,
    /// Whether it came from the person.
    pub inbound: bool,
}

/// The picture.
pub struct Strip {
    /// Height of the drawing.
    pub height: i64,
    /// Where the axis lies.
    pub axis: i64,
    /// Day at the left end.
    pub first: String,
    /// Day at the right end; empty when all is one day.
    pub last: String,
    /// Channel by channel.
    pub rows: Vec<Row>,
}

/// One channel.
pub struct Row {
    /// Its icon.
    pub icon: &'static str,
    /// Its name.
    pub name: String,
    /// Where its row lies.
    pub y: i64,
    /// How many touches.
    pub count: usize,
    /// When the first was.
    pub first: String,
    /// When the last was.
    pub last: String,
    /// Where each is, and whether it came from the person.
    pub dots: Vec<(i64, bool)>,
}

/// The name of a channel's icon in the page.
pub fn icon(channel: &str) -> &'static str {
    match channel {
        "web" => "i-web",
        "app" => "i-app",
        "store" => "i-store",
        "event" => "i-event",
        "call" => "i-call",
        "email" => "i-email",
        "social" => "i-social",
        "sms" => "i-sms",
        "print" => "i-print",
        _ => "i-none",
    }
}

impl Strip {
    /// Draws touches; none for none.
    pub fn draw(t: Lang, times: &Times, touches: &[Touch]) -> Option<Self> {
        let first_ms = touches.iter().map(|touch| touch.at_ms).min()?;
        let last_ms = touches.iter().map(|touch| touch.at_ms).max()?;
        let mut channels: BTreeMap<&str, Vec<&Touch>> = BTreeMap::new();
        for touch in touches {
            channels.entry(&touch.channel).or_default().push(touch);
        }
        let mut channels: Vec<(&str, Vec<&Touch>)> = channels.into_iter().collect();
        channels.sort_by(|one, other| other.1.len().cmp(&one.1.len()).then(one.0.cmp(other.0)));
        if channels.len() > CHANNELS_MAX {
            let rest: Vec<&Touch> = channels
                .drain(CHANNELS_MAX - 1..)
                .flat_map(|(_, touches)| touches)
                .collect();
            channels.push(("", rest));
        }
        let span_ms = (last_ms - first_ms).max(1);
        let x = |at_ms: i64| {
            if first_ms == last_ms {
                return (LEFT + RIGHT) / 2;
            }
            let along =
                i128::from(at_ms - first_ms) * i128::from(RIGHT - LEFT) / i128::from(span_ms);
            LEFT + i64::try_from(along).unwrap_or(0)
        };
        let rows: Vec<Row> = channels
            .into_iter()
            .zip(0..)
            .map(|((channel, touches), index)| {
                let ends = |pick: fn(i64, i64) -> i64| {
                    touches
                        .iter()
                        .map(|touch| touch.at_ms)
                        .reduce(pick)
                        .unwrap_or(first_ms)
                };
                Row {
                    icon: icon(channel),
                    name: t.channel(channel).to_owned(),
                    y: 24 + index * ROW,
                    count: touches.len(),
                    first: times.full(ends(i64::min)),
                    last: times.full(ends(i64::max)),
                    dots: touches
                        .iter()
                        .map(|touch| (x(touch.at_ms), touch.inbound))
                        .collect(),
                }
            })
            .collect();
        let axis = 24 + i64::try_from(rows.len()).unwrap_or(0) * ROW;
        let (first, last) = (times.day(first_ms), times.day(last_ms));
        let last = if first == last { String::new() } else { last };
        Some(Self {
            height: axis + 26,
            axis,
            first,
            last,
            rows,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_touch_is_drawn_within_the_picture_and_counted_in_the_rows() {
        let times = Times::new(Lang::Es, "UTC", 0);
        let touches: Vec<Touch> = (0..40)
            .map(|n| Touch {
                at_ms: n * 3_600_000,
                channel: format!("c{}", n % 15),
                inbound: n % 2 == 0,
            })
            .collect();
        let strip = Strip::draw(Lang::Es, &times, &touches).unwrap();
        assert_eq!(strip.rows.iter().map(|row| row.count).sum::<usize>(), 40);
        assert!(
            strip
                .rows
                .iter()
                .flat_map(|row| &row.dots)
                .all(|(x, _)| (LEFT..=RIGHT).contains(x))
        );
        assert!(strip.rows.len() <= CHANNELS_MAX);
        let one = Strip::draw(Lang::En, &times, &touches[..1]).unwrap();
        assert!(one.last.is_empty());
        assert!(Strip::draw(Lang::En, &times, &[]).is_none());
    }
}
