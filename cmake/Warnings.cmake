# Compile options for our own sources. Directory-wide rather than a target, so that the exported
# libraries do not carry our warnings into the projects of those who use them.
add_compile_options(
  -Wall
  -Wextra
  -Wshadow
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>
  $<$<COMPILE_LANGUAGE:CXX>:-Woverloaded-virtual>
  -Wcast-align
  -Wformat=2
  -Wimplicit-fallthrough
  -Wswitch
)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-Wduplicated-cond -Wlogical-op)
  # Where it has inlined std::string, GCC 12 warns of copies that cannot happen (GCC bug 105651).
  add_compile_options(-Wno-restrict -Wno-stringop-overflow -Wno-array-bounds)
  if(SHOAL_SANITIZE)
    # GCC 12 sees uninitialised values in what the sanitizers themselves put into std::variant.
    add_compile_options(-Wno-maybe-uninitialized)
  endif()
endif()
if(SHOAL_WERROR)
  add_compile_options(-Werror)
endif()
