if(SHOAL_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "SHOAL_FUZZ needs clang, for libFuzzer: use 'cmake --preset fuzz'.")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=address,undefined)
elseif(SHOAL_SANITIZE)
  add_compile_options("-fsanitize=${SHOAL_SANITIZE}" -fno-omit-frame-pointer)
  add_link_options("-fsanitize=${SHOAL_SANITIZE}")
  if(SHOAL_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
  if(SHOAL_SANITIZE STREQUAL "thread")
    # In each program, not in a file that TSAN_OPTIONS name: an executor sees neither. SHOAL_UNSANITIZED
    # is set of a program that has no ThreadSanitizer.
    add_library(shoal_tsan_suppressions OBJECT
      "${PROJECT_SOURCE_DIR}/cmake/tsan_suppressions.cpp")
    set(is_program "$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>")
    set(is_sanitized "$<NOT:$<BOOL:$<TARGET_PROPERTY:SHOAL_UNSANITIZED>>>")
    link_libraries(
      "$<$<AND:${is_program},${is_sanitized}>:$<TARGET_OBJECTS:shoal_tsan_suppressions>>")
  endif()
endif()
