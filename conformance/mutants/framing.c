/* framing.c - broken frames. */
#include <string.h>

#include "conformance/mutants/mutants.h"

enum { KEPT_MAX = 65536, TRAILING_COMMA = 1 };

/* ------------------------------------------------------------------------------------------------------ encoding */

static ipc_status writes_the_lowest_byte_first(const ipc_framing *framing, uint64_t body_len, void *out_header,
                                               size_t header_max, size_t *out_header_len,
                                               ipc_const_buffer *out_trailer) {
  unsigned char *header = out_header;
  ipc_status status = ipc_framing_encode(framing, body_len, out_header, header_max, out_header_len, out_trailer);
  for (size_t i = 0; status.code == IPC_OK && framing->codec == IPC_FRAMING_U32 && i < 2; i++) {
    const unsigned char byte = header[i];
    header[i] = header[3 - i];
    header[3 - i] = byte;
  }
  return status;
}
REPLACES(framing_encode, writes_the_lowest_byte_first)

static ipc_status counts_the_header(const ipc_framing *framing, uint64_t body_len, void *out_header, size_t header_max,
                                    size_t *out_header_len, ipc_const_buffer *out_trailer) {
  const uint64_t counted = framing->codec == IPC_FRAMING_U32 ? body_len + 4 : body_len;
  return ipc_framing_encode(framing, counted, out_header, header_max, out_header_len, out_trailer);
}
REPLACES(framing_encode, counts_the_header)

static ipc_status writes_what_is_too_large(const ipc_framing *framing, uint64_t body_len, void *out_header,
                                           size_t header_max, size_t *out_header_len, ipc_const_buffer *out_trailer) {
  ipc_framing unlimited = *framing;
  if (unlimited.codec == IPC_FRAMING_U32) unlimited.max = IPC_FRAMING_MAX_CEILING_U32;
  return ipc_framing_encode(&unlimited, body_len, out_header, header_max, out_header_len, out_trailer);
}
REPLACES(framing_encode, writes_what_is_too_large)

static ipc_status writes_three_bytes_in_one_order(const ipc_framing *framing, uint64_t body_len, void *out_header,
                                                  size_t header_max, size_t *out_header_len,
                                                  ipc_const_buffer *out_trailer) {
  ipc_framing big = *framing;
  if (big.width == 3) big.flags &= ~(uint32_t)IPC_FRAMING_LITTLE_ENDIAN;
  return ipc_framing_encode(&big, body_len, out_header, header_max, out_header_len, out_trailer);
}
REPLACES(framing_encode, writes_three_bytes_in_one_order)

static ipc_status cuts_the_length(const ipc_framing *framing, uint64_t body_len, void *out_header, size_t header_max,
                                  size_t *out_header_len, ipc_const_buffer *out_trailer) {
  uint64_t cut = body_len;
  if (framing->codec == IPC_FRAMING_LENGTH && framing->adjustment == 0 && framing->width > 0 && framing->width < 8)
    cut &= ((uint64_t)1 << (8 * framing->width)) - 1;
  return ipc_framing_encode(framing, cut, out_header, header_max, out_header_len, out_trailer);
}
REPLACES(framing_encode, cuts_the_length)

static ipc_status writes_a_negative_length_as_none(const ipc_framing *framing, uint64_t body_len, void *out_header,
                                                   size_t header_max, size_t *out_header_len,
                                                   ipc_const_buffer *out_trailer) {
  const bool negative =
      framing->codec == IPC_FRAMING_LENGTH && framing->adjustment > 0 && body_len < (uint64_t)framing->adjustment;
  return ipc_framing_encode(framing, negative ? (uint64_t)framing->adjustment : body_len, out_header, header_max,
                            out_header_len, out_trailer);
}
REPLACES(framing_encode, writes_a_negative_length_as_none)

static ipc_status forgets_the_adjustment(const ipc_framing *framing, uint64_t body_len, void *out_header,
                                         size_t header_max, size_t *out_header_len, ipc_const_buffer *out_trailer) {
  ipc_framing plain = *framing;
  if (plain.codec == IPC_FRAMING_LENGTH && plain.offset > 0) plain.adjustment = 0;
  return ipc_framing_encode(&plain, body_len, out_header, header_max, out_header_len, out_trailer);
}
REPLACES(framing_encode, forgets_the_adjustment)

static ipc_status writes_the_highest_group_first(const ipc_framing *framing, uint64_t body_len, void *out_header,
                                                 size_t header_max, size_t *out_header_len,
                                                 ipc_const_buffer *out_trailer) {
  unsigned char *header = out_header;
  ipc_status status = ipc_framing_encode(framing, body_len, out_header, header_max, out_header_len, out_trailer);
  if (status.code == IPC_OK && framing->codec == IPC_FRAMING_VARINT && *out_header_len == 2) {
    const unsigned char high = header[1];
    header[1] = header[0] & 0x7F;
    header[0] = high | 0x80;
  }
  return status;
}
REPLACES(framing_encode, writes_the_highest_group_first)

static ipc_status ends_a_netstring_with_a_line(const ipc_framing *framing, uint64_t body_len, void *out_header,
                                               size_t header_max, size_t *out_header_len,
                                               ipc_const_buffer *out_trailer) {
  ipc_status status = ipc_framing_encode(framing, body_len, out_header, header_max, out_header_len, out_trailer);
  if (status.code == IPC_OK && out_trailer->len == TRAILING_COMMA) out_trailer->data = "\n";
  return status;
}
REPLACES(framing_encode, ends_a_netstring_with_a_line)

static ipc_status writes_lengths_with_a_sign(const ipc_framing *framing, uint64_t body_len, void *out_header,
                                             size_t header_max, size_t *out_header_len, ipc_const_buffer *out_trailer) {
  ipc_status status = ipc_framing_encode(framing, body_len, out_header, header_max, out_header_len, out_trailer);
  if (status.code == IPC_OK && framing->codec == IPC_FRAMING_ESCAPE && *out_header_len == 12) {
    memmove(out_header, (const char *)out_header + 8, 4);
    *out_header_len = 4;
  }
  return status;
}
REPLACES(framing_encode, writes_lengths_with_a_sign)

/* ------------------------------------------------------------------------------------------- decoders' parameters */

/* Each changes the codec and makes the decoder of what comes of it. */
#define DECODES_WITH(function, change)                                                \
  static ipc_status function(const ipc_framing *framing, ipc_decoder **out_decoder) { \
    ipc_framing changed = *framing;                                                   \
    change;                                                                           \
    return ipc_framing_decode(&changed, out_decoder);                                 \
  }                                                                                   \
  REPLACES(framing_decode, function)

static uint64_t max_of(const ipc_framing *framing) {
  return framing->max != 0 ? framing->max : IPC_FRAMING_MAX_DEFAULT;
}

DECODES_WITH(limits_the_whole_frame,
             if (changed.codec == IPC_FRAMING_U32 && max_of(framing) > 8) changed.max = max_of(framing) - 4)
DECODES_WITH(takes_one_byte_more,
             if (changed.codec == IPC_FRAMING_U32 && changed.max < 1 << 30) changed.max = max_of(framing) + 1)
DECODES_WITH(lowers_a_limit_that_is_too_high,
             if (changed.codec == IPC_FRAMING_U32 && changed.max > IPC_FRAMING_MAX_CEILING_U32)
                 changed.max = IPC_FRAMING_MAX_CEILING_U32)
DECODES_WITH(reads_three_bytes_in_one_order,
             if (changed.width == 3) changed.flags &= ~(uint32_t)IPC_FRAMING_LITTLE_ENDIAN)
DECODES_WITH(takes_five_bytes_for_four,
             if (changed.codec == IPC_FRAMING_LENGTH && changed.width == 5) changed.width = 4)
DECODES_WITH(limits_before_a_positive_adjustment,
             if (changed.codec == IPC_FRAMING_LENGTH && changed.adjustment > 0 && changed.adjustment < 1 << 20)
                 changed.max = max_of(framing) + (uint64_t)changed.adjustment)
DECODES_WITH(limits_before_a_negative_adjustment,
             if (changed.codec == IPC_FRAMING_LENGTH && changed.adjustment < 0 && changed.adjustment > -1024 &&
                 max_of(framing) > (uint64_t)-changed.adjustment)
                 changed.max = max_of(framing) - (uint64_t)-changed.adjustment)
DECODES_WITH(lets_the_tail_bleed,
             if (changed.codec == IPC_FRAMING_LENGTH && changed.skip == 0 && changed.adjustment == 0 &&
                 changed.offset == 0) changed.flags |= IPC_FRAMING_BODY_AT_SKIP)
DECODES_WITH(skips_at_most_the_header,
             if (changed.codec == IPC_FRAMING_LENGTH && !(changed.flags & IPC_FRAMING_BODY_AT_SKIP) &&
                 changed.skip > changed.offset + changed.width) changed.skip = changed.offset + changed.width)
DECODES_WITH(reads_every_varint, if (changed.codec == IPC_FRAMING_VARINT) changed.flags |= IPC_FRAMING_ACCEPT_OVERLONG)
DECODES_WITH(refuses_every_long_varint,
             if (changed.codec == IPC_FRAMING_VARINT) changed.flags &= ~(uint32_t)IPC_FRAMING_ACCEPT_OVERLONG)
DECODES_WITH(takes_any_number_of_varint_bytes,
             if (changed.codec == IPC_FRAMING_VARINT && changed.varint_bytes != 10) changed.varint_bytes = 5)
DECODES_WITH(reads_every_escape, if (changed.codec == IPC_FRAMING_ESCAPE) changed.flags |= IPC_FRAMING_ACCEPT_OVERLONG)
DECODES_WITH(knows_one_dialect, changed.flags &= ~(uint32_t)IPC_FRAMING_BODY_AT_SKIP)

/* ------------------------------------------------------------------------------------------------------- decoding */

static ipc_status remembers_its_codec(const ipc_framing *framing, ipc_decoder **out_decoder) {
  ipc_status status = ipc_framing_decode(framing, out_decoder);
  if (status.code == IPC_OK && !(framing->flags & IPC_FRAMING_BODY_AT_SKIP))
    mutant_remember(*out_decoder, framing->codec);
  return status;
}
/* passes_over_a_first_empty_frame: of codec IPC_FRAMING_U32; the decoder forgets its codec with the first frame. */
static ipc_status passes_over_a_first_empty_frame(ipc_decoder *decoder, const void **out_body, size_t *out_len,
                                                  uint64_t *out_need) {
  ipc_status status = ipc_decoder_next(decoder, out_body, out_len, out_need);
  if (status.code != IPC_OK || mutant_recall(decoder) != IPC_FRAMING_U32) return status;
  mutant_remember(decoder, 0);
  return *out_len == 0 ? ipc_decoder_next(decoder, out_body, out_len, out_need) : status;
}
static void install_no_first_empty_frame(ipc_table *table) {
  table->framing_decode = remembers_its_codec;
  table->decoder_next = passes_over_a_first_empty_frame;
}

static ipc_status loses_a_part_of_a_header(ipc_decoder *decoder, const void *data, size_t data_len, size_t *out_len) {
  const bool first = mutant_recall(decoder) == IPC_FRAMING_U32;
  mutant_remember(decoder, 0);
  if (!first || data_len < 2 || data_len > 3) return ipc_decoder_feed(decoder, data, data_len, out_len);
  *out_len = data_len;
  return mutant_status(IPC_OK);
}
static void install_header_part_lost(ipc_table *table) {
  table->framing_decode = remembers_its_codec;
  table->decoder_feed = loses_a_part_of_a_header;
}

static ipc_status delivers_eight_frames(ipc_decoder *decoder, const void **out_body, size_t *out_len,
                                        uint64_t *out_need) {
  ipc_status status = ipc_decoder_next(decoder, out_body, out_len, out_need);
  if (status.code == IPC_OK) mutant_remember(decoder, mutant_recall(decoder) + 1);
  return status.code == IPC_OK && mutant_recall(decoder) > 8 ? ipc_decoder_next(decoder, out_body, out_len, out_need)
                                                             : status;
}
REPLACES(decoder_next, delivers_eight_frames)

static ipc_status leaves_a_tail(ipc_decoder *decoder, const void **out_body, size_t *out_len, uint64_t *out_need) {
  static unsigned char kept[KEPT_MAX];
  ipc_status status = ipc_decoder_next(decoder, out_body, out_len, out_need);
  const size_t longest = (size_t)mutant_recall(decoder);
  if (status.code != IPC_OK || *out_len > KEPT_MAX || longest > KEPT_MAX) return status;
  if (*out_len != 0) memcpy(kept, *out_body, *out_len);
  if (*out_len >= longest) mutant_remember(decoder, *out_len);
  if (longest >= 1000 && *out_len < longest) *out_len = longest;
  *out_body = kept;
  return status;
}
REPLACES(decoder_next, leaves_a_tail)

static ipc_status asks_for_a_byte_too_much(ipc_decoder *decoder, const void **out_body, size_t *out_len,
                                           uint64_t *out_need) {
  ipc_status status = ipc_decoder_next(decoder, out_body, out_len, out_need);
  if (status.code == IPC_WOULD_BLOCK) ++*out_need;
  return status;
}
REPLACES(decoder_next, asks_for_a_byte_too_much)

/* The decoder counts its bytes. */
static ipc_status counts_bytes(ipc_decoder *decoder, const void *data, size_t data_len, size_t *out_len) {
  ipc_status status = ipc_decoder_feed(decoder, data, data_len, out_len);
  mutant_remember(decoder, mutant_recall(decoder) + *out_len);
  return status;
}
static ipc_status ends_cleanly_in_a_header(ipc_decoder *decoder) {
  ipc_status status = ipc_decoder_end(decoder);
  return status.code == IPC_MESSAGE_TRUNCATED && mutant_recall(decoder) < 4 ? mutant_status(IPC_OK) : status;
}
static ipc_status has_ended_cleanly(ipc_decoder *decoder, const void **out_body, size_t *out_len, uint64_t *out_need) {
  ipc_status status = ipc_decoder_next(decoder, out_body, out_len, out_need);
  return status.code == IPC_MESSAGE_TRUNCATED && mutant_recall(decoder) < 4 ? mutant_status(IPC_END) : status;
}
static void install_clean_end_in_a_header(ipc_table *table) {
  table->decoder_feed = counts_bytes;
  table->decoder_end = ends_cleanly_in_a_header;
  table->decoder_next = has_ended_cleanly;
}

static ipc_status forgets_its_error(ipc_decoder *decoder, const void **out_body, size_t *out_len, uint64_t *out_need) {
  ipc_status status = ipc_decoder_next(decoder, out_body, out_len, out_need);
  if (status.code != IPC_MESSAGE_TOO_LARGE) return status;
  const bool before = mutant_recall(decoder) != 0;
  mutant_remember(decoder, 1);
  if (before) *out_need = 4;
  return before ? mutant_status(IPC_WOULD_BLOCK) : status;
}
REPLACES(decoder_next, forgets_its_error)

static ipc_status takes_a_wrapped_length_for_a_large_one(ipc_decoder *decoder, const void **out_body, size_t *out_len,
                                                         uint64_t *out_need) {
  ipc_status status = ipc_decoder_next(decoder, out_body, out_len, out_need);
  return status.code == IPC_MALFORMED && mutant_recall(decoder) == IPC_FRAMING_LENGTH
             ? mutant_status(IPC_MESSAGE_TOO_LARGE)
             : status;
}
static ipc_status agrees_on_the_large_one(ipc_decoder *decoder, const void *data, size_t data_len, size_t *out_len) {
  ipc_status status = ipc_decoder_feed(decoder, data, data_len, out_len);
  return status.code == IPC_MALFORMED && mutant_recall(decoder) == IPC_FRAMING_LENGTH
             ? mutant_status(IPC_MESSAGE_TOO_LARGE)
             : status;
}
static void install_wrapped_length_is_large(ipc_table *table) {
  table->framing_decode = remembers_its_codec;
  table->decoder_feed = agrees_on_the_large_one;
  table->decoder_next = takes_a_wrapped_length_for_a_large_one;
}

static ipc_status passes_over_a_leading_zero(ipc_decoder *decoder, const void *data, size_t data_len, size_t *out_len) {
  const unsigned char *digits = data;
  if (mutant_recall(decoder) != IPC_FRAMING_NETSTRING || data_len < 2 || digits[0] != '0' || digits[1] < '0' ||
      digits[1] > '9')
    return ipc_decoder_feed(decoder, data, data_len, out_len);
  *out_len = 1;
  return mutant_status(IPC_OK);
}
static void install_leading_zero(ipc_table *table) {
  table->framing_decode = remembers_its_codec;
  table->decoder_feed = passes_over_a_leading_zero;
}

static ipc_status turns_a_semicolon_into_a_comma(ipc_decoder *decoder, const void *data, size_t data_len,
                                                 size_t *out_len) {
  size_t fed = 0;
  *out_len = 0;
  if (mutant_recall(decoder) != IPC_FRAMING_NETSTRING || data_len == 0 || data_len > KEPT_MAX)
    return ipc_decoder_feed(decoder, data, data_len, out_len);
  /* All but the last byte, if that would end the frame. */
  ipc_status status = ipc_decoder_feed(decoder, data, data_len - 1, &fed);
  const unsigned char last = ((const unsigned char *)data)[data_len - 1];
  if (status.code == IPC_OK && fed == data_len - 1) {
    const unsigned char turned = last == ';' || last == 'X' || last == '\n' || last == ' ' ? ',' : last;
    size_t one = 0;
    status = ipc_decoder_feed(decoder, &turned, 1, &one);
    fed += one;
  }
  *out_len = fed;
  return status;
}
static void install_any_trailer(ipc_table *table) {
  table->framing_decode = remembers_its_codec;
  table->decoder_feed = turns_a_semicolon_into_a_comma;
}

static ipc_status knows_one_spelling(ipc_decoder *decoder, const void *data, size_t data_len, size_t *out_len) {
  const unsigned char bad[] = "?\r\n";
  const unsigned char *first = data;
  if (mutant_recall(decoder) != IPC_FRAMING_CONTENT_LENGTH || data_len < 8 || (first[0] != 'c' && first[1] != 'O'))
    return ipc_decoder_feed(decoder, data, data_len, out_len);
  return ipc_decoder_feed(decoder, bad, 3, out_len);
}
static void install_one_spelling(ipc_table *table) {
  table->framing_decode = remembers_its_codec;
  table->decoder_feed = knows_one_spelling;
}

static ipc_status keeps_its_limit(ipc_decoder *decoder, uint64_t max) {
  (void)decoder;
  (void)max;
  return mutant_status(IPC_OK);
}
REPLACES(decoder_set_max, keeps_its_limit)

const mutant framing_mutants[] = {
    {"framing.lowest_first", "writes the lowest byte of a length first", "Framing.HeaderIsFourBytesBigEndian", NULL,
     NULL, install_writes_the_lowest_byte_first},
    {"framing.header_counted", "counts the header in the length", "Framing.HeaderIsFourBytesBigEndian", NULL, NULL,
     install_counts_the_header},
    {"framing.too_large_written", "writes the header of a body beyond the limit", "Framing.EncodeRefusesTooLarge", NULL,
     NULL, install_writes_what_is_too_large},
    {"framing.three_bytes_written", "writes a length of three bytes in one order alone",
     "Framing.EncodeWritesEveryWidthAndOrder", NULL, NULL, install_writes_three_bytes_in_one_order},
    {"framing.length_cut", "cuts a length that its field cannot say (tokio#5080)",
     "Framing.EncodeRefusesWhatTheFieldCannotSay", NULL, NULL, install_cuts_the_length},
    {"framing.negative_is_zero", "writes 0 where the length would be negative",
     "Framing.EncodeRefusesLessThanTheAdjustment", NULL, NULL, install_writes_a_negative_length_as_none},
    {"framing.adjustment_forgotten", "forgets the adjustment when bytes stand before the length (tokio#2331)",
     "Framing.EveryTupleRoundTrips", NULL, NULL, install_forgets_the_adjustment},
    {"framing.highest_group_first", "writes the highest group of a varint first", "Framing.VarintIsLowestGroupFirst",
     NULL, NULL, install_writes_the_highest_group_first},
    {"framing.netstring_lines", "ends a netstring with a line feed", "Framing.NetstringIsDigitsColonBodyComma", NULL,
     NULL, install_ends_a_netstring_with_a_line},
    {"framing.signed_length", "writes lengths of 2 GiB and more as negative ones (cpython#10305)",
     "Framing.EscapeBeginsAtTwoGibibytes", NULL, NULL, install_writes_lengths_with_a_sign},
    {"framing.limit_of_frame", "holds the whole frame against the limit of its body (h2#624)",
     "Framing.LongestBodyIsAccepted", NULL, NULL, install_limits_the_whole_frame},
    {"framing.one_byte_more", "accepts a body one byte longer than its limit", "Framing.LongerBodyIsTooLarge", NULL,
     NULL, install_takes_one_byte_more},
    {"framing.ceiling_lowered", "lowers a limit that is too high instead of refusing it",
     "Framing.CeilingIsTwoGibibytesLessOne", NULL, NULL, install_lowers_a_limit_that_is_too_high},
    {"framing.three_bytes_read", "reads a length of three bytes in one order alone",
     "Framing.FieldOfEveryWidthAndOrder", NULL, NULL, install_reads_three_bytes_in_one_order},
    {"framing.five_bytes", "takes a field of five bytes for one of four", "Framing.WidthThatDoesNotExistIsRefused",
     NULL, NULL, install_takes_five_bytes_for_four},
    {"framing.limit_before_plus", "holds a length against the limit before it adds a positive adjustment (tokio#4815)",
     "Framing.LimitHoldsAfterAPositiveAdjustment", NULL, NULL, install_limits_before_a_positive_adjustment},
    {"framing.limit_before_minus", "holds a length against the limit before it adds a negative adjustment (tokio#4815)",
     "Framing.LimitHoldsAfterANegativeAdjustment", NULL, NULL, install_limits_before_a_negative_adjustment},
    {"framing.tail_bleeds",
     "ends a frame of which nothing is skipped too early, so that its tail is the next "
     "(tokio#6604)",
     "Framing.SkipLeavesTheNextFrameIntact", NULL, NULL, install_lets_the_tail_bleed},
    {"framing.skip_lowered", "lowers a skip beyond the header instead of refusing it",
     "Framing.SkipBeyondTheHeaderIsRefused", NULL, NULL, install_skips_at_most_the_header},
    {"framing.overlong_varint_read", "reads varints that have a shorter form", "Framing.OverlongVarintIsRefused", NULL,
     NULL, install_reads_every_varint},
    {"framing.overlong_varint_refused", "refuses varints that have a shorter form, also when it is told to read them",
     "Framing.OverlongVarintIsRead", NULL, NULL, install_refuses_every_long_varint},
    {"framing.any_varint_bytes", "takes any number of varint bytes for five", "Framing.VarintBytesAreFiveOrTen", NULL,
     NULL, install_takes_any_number_of_varint_bytes},
    {"framing.overlong_escape_read", "reads long lengths that have a short form", "Framing.OverlongEscapeIsRefused",
     NULL, NULL, install_reads_every_escape},
    {"framing.one_dialect", "lets the body begin behind the field, wherever it is said to", "Framing.BodyBeginsAtSkip",
     NULL, NULL, install_knows_one_dialect},
    {"framing.no_empty_frames", "passes over an empty frame that comes first", "Framing.EmptyBodyIsAFrame", NULL, NULL,
     install_no_first_empty_frame},
    {"framing.header_part_lost", "loses the part of a header that came alone", "Framing.EverySplitPointDecodesTheSame",
     NULL, NULL, install_header_part_lost},
    {"framing.eight_frames", "delivers the first eight frames alone", "Framing.ManyFramesInOnePieceAllCome", NULL, NULL,
     install_delivers_eight_frames},
    {"framing.old_tail", "delivers a short frame with the tail of the long one before",
     "Framing.ShortAfterLongHasNoTail", NULL, NULL, install_leaves_a_tail},
    {"framing.need_too_much", "asks for a byte more than the frame lacks", "Framing.NeedIsExactWhereTheLengthIsKnown",
     NULL, NULL, install_asks_for_a_byte_too_much},
    {"framing.clean_end_in_header", "takes an end inside a header for a clean one", "Framing.EndInAHeaderIsTruncated",
     NULL, NULL, install_clean_end_in_a_header},
    {"framing.error_forgotten", "goes on after a frame that was too large", "Framing.ErrorsAreSticky", NULL, NULL,
     install_forgets_its_error},
    {"framing.wrapped_is_large", "lets a length below its adjustment wrap around to a large one",
     "Framing.ValueBelowTheAdjustmentIsMalformed", NULL, NULL, install_wrapped_length_is_large},
    {"framing.leading_zero", "reads the length of a netstring with zeros before it",
     "Framing.NetstringLeadingZeroIsMalformed", NULL, NULL, install_leading_zero},
    {"framing.any_trailer", "takes whatever stands behind a netstring for its comma",
     "Framing.NetstringWrongTrailerIsMalformed", NULL, NULL, install_any_trailer},
    {"framing.one_spelling", "knows Content-Length in one spelling alone", "Framing.ContentLengthIgnoresCase", NULL,
     NULL, install_one_spelling},
    {"framing.limit_kept", "does not change its limit when it is told to", "Framing.LowerLimitHoldsFromTheNextFrame",
     NULL, NULL, install_keeps_its_limit},
    {0},
};
