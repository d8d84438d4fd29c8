//! Lines that run downwards although their font does not say so.

use hayro_font::kurbo::{Point, Vec2};

use super::font::Text;
use super::glyph::Glyph;

/// Fewest steps downwards that make a page one of such lines.
const FEWEST: usize = 10;

/// Turns the letters of Chinese and Japanese that were set one below the other, each
/// at a place of its own, with a font for lines from left to right: read by their
/// lines, each line would hold a letter of every column.
pub(super) fn turn(glyphs: &mut [Glyph]) {
    let mut steps: Vec<Step> = glyphs.windows(2).map(step).collect();
    let count = |wanted| steps.iter().filter(|step| **step == wanted).count();
    // A table can have columns of single letters; a page of it does not.
    if count(Step::Down) < FEWEST || count(Step::Down) < 2 * count(Step::Along) {
        return;
    }
    // Marks can have a font that runs downwards by itself.
    let Some(direction) =
        glyphs.iter().zip(&steps).find(|(_, step)| **step == Step::Down).map(|(one, _)| one.direction)
    else {
        return;
    };
    // Of each glyph: the step to it, and the one from it.
    steps.insert(0, Step::Other);
    steps.push(Step::Other);
    let places: Vec<Point> = glyphs.iter().map(|glyph| glyph.origin).collect();
    for (at, (glyph, around)) in glyphs.iter_mut().zip(steps.windows(2)).enumerate() {
        let is_alone = around == [Step::Other, Step::Other];
        let is_alike = is_wide(glyph) && glyph.direction.dot(direction) > 0.99;
        if around.contains(&Step::Down) || (is_alone && is_alike) {
            let upwards = upwards(glyph);
            // A mark is set beside the middle of its line: it belongs to its neighbour.
            let neighbour =
                if around.first() == Some(&Step::Down) { at.checked_sub(1) } else { Some(at + 1) };
            if !is_alone
                && is_mark(glyph)
                && let Some(place) = neighbour.and_then(|at| places.get(at))
            {
                glyph.origin += glyph.direction * (*place - glyph.origin).dot(glyph.direction);
            }
            // From the start of its baseline to the middle of its top.
            glyph.origin += (glyph.direction * 0.5 + upwards * 0.88) * glyph.size;
            glyph.direction = -upwards;
            glyph.advance = -upwards * glyph.size;
        }
    }
}

/// How a glyph follows another one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Down,
    Along,
    Other,
}

fn step(pair: &[Glyph]) -> Step {
    let [one, next] = pair else { return Step::Other };
    let is_alike = (one.size - next.size).abs() < 0.2 * one.size && one.direction.dot(next.direction) > 0.99;
    if !is_wide(one) || !is_wide(next) || !is_alike {
        return Step::Other;
    }
    let way = (next.origin - one.origin) / one.size;
    let (along, up) = (way.dot(one.direction), way.dot(upwards(one)));
    let has_mark = is_mark(one) || is_mark(next);
    let (aside, least) = if has_mark { (0.9, -0.15) } else { (0.3, -0.5) };
    if along.abs() < aside && (-2.3..least).contains(&up) {
        Step::Down
    } else if up.abs() < 0.2 && (0.3..2.0).contains(&along) {
        Step::Along
    } else {
        Step::Other
    }
}

fn upwards(glyph: &Glyph) -> Vec2 {
    Vec2::new(-glyph.direction.y, glyph.direction.x)
}

/// Whether it is a mark such as `、` or `」`.
fn is_mark(glyph: &Glyph) -> bool {
    matches!(
        glyph.text,
        Text::One(
            '\u{3001}'..='\u{301f}'
            | '\u{30fb}'
            | '\u{30fc}'
            | '\u{fe30}'..='\u{fe4f}'
            | '\u{ff01}'..='\u{ff0f}'
            | '\u{ff1a}'
            | '\u{ff1b}'
            | '\u{ff1f}',
        )
    )
}

/// Whether a letter is of a script that is written downwards too.
fn is_wide(glyph: &Glyph) -> bool {
    matches!(
        glyph.text,
        Text::One(
            '\u{2e80}'..='\u{9fff}'
            | '\u{f900}'..='\u{faff}'
            | '\u{fe30}'..='\u{fe4f}'
            | '\u{ff00}'..='\u{ffef}',
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glyph(letter: char, x: f64, y: f64) -> Glyph {
        Glyph {
            text: Text::One(letter),
            origin: Point::new(x, y),
            advance: Vec2::new(10.0, 0.0),
            direction: Vec2::new(1.0, 0.0),
            size: 10.0,
            is_bold: false,
        }
    }

    #[test]
    fn letters_below_each_other_make_a_line() {
        // Two columns of eight letters, the right one first.
        let mut glyphs: Vec<Glyph> = (0..16_u32)
            .map(|nth| glyph('字', if nth < 8 { 100.0 } else { 80.0 }, 500.0 - 11.0 * f64::from(nth % 8)))
            .collect();
        // A comma in the corner of its place.
        glyphs[3] = glyph('、', 106.0, 500.0 - 11.0 * 3.0 + 6.0);
        glyphs.push(glyph('1', 10.0, 10.0));
        turn(&mut glyphs);
        assert_eq!(glyphs[3].origin.x, glyphs[2].origin.x);
        assert!(glyphs[..16].iter().all(|glyph| glyph.direction == Vec2::new(0.0, -1.0)));
        assert_eq!((glyphs[0].origin, glyphs[0].advance), (Point::new(105.0, 508.8), Vec2::new(0.0, -10.0)));
        assert_eq!(glyphs[16].direction, Vec2::new(1.0, 0.0));
    }

    #[test]
    fn lines_from_left_to_right_stay() {
        // Twelve lines of four letters: a step down follows each line, not each letter.
        let mut glyphs: Vec<Glyph> = (0..48_u32)
            .map(|nth| glyph('字', 10.0 * f64::from(nth % 4), 500.0 - 12.0 * f64::from(nth / 4)))
            .collect();
        turn(&mut glyphs);
        assert!(glyphs.iter().all(|glyph| glyph.direction == Vec2::new(1.0, 0.0)));
    }
}
