/* features.h - the features of the portable part. A platform's list begins with them (ref/common/platform.h), so that
 * the whole is one constant array. */
#ifndef REF_COMMON_FEATURES_H
#define REF_COMMON_FEATURES_H

#define IPC_COMMON_FEATURES                                                                               \
  "name.all_os", "framing.length_field", "framing.varint", "framing.netstring", "framing.content_length", \
      "framing.escape", "framing.overlong.refuse", "framing.overlong.accept", "framing.header_alone", "framing.need", \
      "framing.max_after", "framing.body_at_skip", "framed.read.timeout", "framed.write.timeout"

#endif /* REF_COMMON_FEATURES_H */
