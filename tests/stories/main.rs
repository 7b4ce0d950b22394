//! The acceptance stories, through the real programs.

mod a_investor;
mod d_two_hats;
mod e_family;
