# shoal_capnp_sources(<variable> <schema>...)
#
# Generates C++ from schemas of the current folder; they are included by their path from the top,
# "node/protocol/work.capnp.h". CapnProto's own capnp_generate_cpp() is not used because it does not
# know that a schema depends on those that it imports, and would leave stale code behind.
find_program(CAPNP_EXECUTABLE capnp REQUIRED)
find_program(CAPNPC_CXX_EXECUTABLE capnpc-c++ REQUIRED)
set(SHOAL_GENERATED_DIR "${PROJECT_BINARY_DIR}/generated")
file(MAKE_DIRECTORY "${SHOAL_GENERATED_DIR}")

function(shoal_capnp_sources variable)
  set(schemas)
  foreach(schema IN LISTS ARGN)
    set(file "${CMAKE_CURRENT_SOURCE_DIR}/${schema}")
    list(APPEND schemas "${file}")
  endforeach()
  set(sources)
  foreach(file IN LISTS schemas)
    file(RELATIVE_PATH path "${PROJECT_SOURCE_DIR}" "${file}")
    set(base "${SHOAL_GENERATED_DIR}/${path}")
    add_custom_command(
      OUTPUT "${base}.c++" "${base}.h"
      COMMAND "${CAPNP_EXECUTABLE}" compile "-o${CAPNPC_CXX_EXECUTABLE}:${SHOAL_GENERATED_DIR}"
              "--src-prefix=${PROJECT_SOURCE_DIR}" "-I${PROJECT_SOURCE_DIR}" "${file}"
      DEPENDS ${schemas}
      COMMENT "Cap'n Proto: ${path}"
      VERBATIM)
    # What capnpc writes is not ours to warn about.
    set_source_files_properties("${base}.c++" PROPERTIES COMPILE_OPTIONS "-w")
    list(APPEND sources "${base}.c++" "${base}.h")
  endforeach()
  set(${variable} "${sources}" PARENT_SCOPE)
endfunction()
